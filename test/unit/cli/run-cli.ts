import type { RegisterCommand } from '../../../src/cli/program.ts';
import { type ProcessIo, runCli } from '../../../src/cli/run.ts';

/** One command line in this process: its status and what it printed. */
export async function cli(args: string[], options: { env?: Record<string, string>; commands?: RegisterCommand[]; signal?: AbortSignal } = {}) {
  const printed = { stdout: '', stderr: '' };
  const io: ProcessIo = {
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
    out: (text) => {
      printed.stdout += text;
    },
    err: (text) => {
      printed.stderr += text;
    },
  };
  const status = await runCli(args, io, options.commands);
  return { status, ...printed };
}
