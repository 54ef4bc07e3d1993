import { CommanderError } from 'commander';
import { printable } from '../runtime/foreign-text.ts';
import { FileError } from '../runtime/named-file.ts';
import { redactText } from '../runtime/redact.ts';
import { CliError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { buildProgram, type RegisterCommand } from './program.ts';
import { doubleDashes, splitAtDashes, valueOptions } from './single-dash.ts';

/** 0 done, 1 failed, 2 wrong usage. */
export type ExitStatus = number;

export type ProcessIo = Omit<CliIo, 'afterDashes' | 'exitWith'>;

/**
 * Runs one command line (without `node` and the script) and returns the exit status. Expected failures are printed, the reason
 * on the first line of stderr; anything else is a bug and is printed with its stack.
 */
export async function runCli(args: readonly string[], processIo: ProcessIo, commands?: readonly RegisterCommand[]): Promise<ExitStatus> {
  const { own, afterDashes } = splitAtDashes(args);
  let status = 0;
  const io: CliIo = {
    ...processIo,
    // whatever a proxy, a file or another server wrote, a terminal shows it and does not obey it; what is for people holds no secret
    out: (text) => processIo.out(printable(text)),
    err: (text) => processIo.err(printable(redactText(text))),
    afterDashes,
    exitWith: (wanted) => {
      status = wanted;
    },
  };
  const program = buildProgram(io, commands);
  try {
    await program.parseAsync(doubleDashes(own, valueOptions(program)), { from: 'user' });
    return status;
  } catch (error) {
    return statusOf(error, io);
  }
}

function statusOf(error: unknown, io: CliIo): ExitStatus {
  // Commander has printed its own message; it uses 1 for wrong usage and 0 for help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof CliError || error instanceof FileError) {
    io.err(`adsum: ${error.code ? `${error.code}: ` : ''}${error.message}\n${error.hint ? `${error.hint}\n` : ''}`);
    return error instanceof CliError ? error.exitStatus : 1;
  }
  if (io.signal.aborted) {
    io.err('adsum: interrupted\n');
    return 1;
  }
  io.err(`adsum: unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
