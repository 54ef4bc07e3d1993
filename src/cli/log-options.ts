import { type Command, Option } from 'commander';
import type { Logger } from '../runtime/logger.ts';
import { createLogger, LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../runtime/pino-logger.ts';

/** `--log-format` and `--log-level`, on the program itself so that every command has them. */
export function addLogOptions(program: Command): void {
  program
    .addOption(new Option('--log-format <format>', 'how logs look on stderr').choices(LOG_FORMATS).default('human'))
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LOG_LEVELS).default('info'));
}

/** The logger the global options ask for. */
export function loggerFor(command: Command): Logger {
  const { logFormat, logLevel } = command.optsWithGlobals<{ logFormat: LogFormat; logLevel: LogLevel }>();
  return createLogger({ format: logFormat, level: logLevel });
}
