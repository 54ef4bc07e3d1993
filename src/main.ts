#!/usr/bin/env node
import { runCli } from './cli/run.ts';
import { printable } from './runtime/foreign-text.ts';
import { redactText } from './runtime/redact.ts';

const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  // The first signal asks for an orderly end; the second gets the system's default, in case that hangs.
  process.once(name, () => stop.abort(new Error(name)));
}
// A bug ends the process, as Node would; the stack may quote what users configured.
process.on('uncaughtException', (error: unknown) => {
  process.stderr.write(printable(redactText(`adsum: unexpected error: ${error instanceof Error ? error.stack : String(error)}\n`)));
  process.exit(1);
});
// `adsum proxies | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const status = await runCli(process.argv.slice(2), {
  env: process.env,
  signal: stop.signal,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
await new Promise<void>((done) => process.stdout.write('', () => done()));
process.exit(status);
