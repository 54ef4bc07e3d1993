/** What the rest of adsum asks of a logger; pino fits as it is. Fields first, message second. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing: for tests and for tools whose output is their result. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
