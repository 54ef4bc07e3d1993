import { type LogFn, pino } from 'pino';
import pretty from 'pino-pretty';
import { printable, safeFields } from './foreign-text.ts';
import type { Logger } from './logger.ts';
import { redact, redactText } from './redact.ts';

export const LOG_FORMATS = ['human', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const STDERR = 2;

/** The one place that every line passes: what clients, files and other servers wrote is short and harmless to a terminal, and holds no secret. */
const hooks = {
  logMethod(args: Parameters<LogFn>, log: LogFn) {
    const [fields, message] = args as unknown as [object, string];
    log.call(this, safeFields(redact(fields)), printable(redactText(message)));
  },
};

/**
 * A logger on stderr; stdout belongs to results. It writes synchronously: few lines are logged, and the last ones before an end
 * are the ones that matter.
 * @param options.format `human` (default): one line with the time of day; `json`: pino's format, one object per line, `level` as a word
 */
export function createLogger(options: { format?: LogFormat; level?: LogLevel } = {}): Logger {
  const { format = 'human', level = 'info' } = options;
  const settings = {
    level,
    base: null,
    hooks,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (format === 'json') return pino(settings, pino.destination({ fd: STDERR, sync: true }));
  return pino(
    settings,
    pretty({ destination: STDERR, sync: true, colorize: process.stderr.isTTY === true, singleLine: true, translateTime: 'SYS:HH:MM:ss.l' }),
  );
}
