/** What the rest of adsum asks of a logger; pino fits as it is. Fields first, message second. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Whether lines of a level are written. Without it all are. */
  isLevelEnabled?(level: string): boolean;
}

/** Asked before fields are put together that cost something. */
export function isLogged(logger: Logger, level: 'debug' | 'info'): boolean {
  return logger.isLevelEnabled?.(level) ?? true;
}

/** Says nothing: for tests and for tools whose output is their result. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false };
