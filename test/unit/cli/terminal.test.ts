import { expect, test } from 'vitest';
import { runCli } from '../../../src/cli/run.ts';

const ESC = '\u001b';

test('what commands print comes to a terminal as text and never as an order', async () => {
  let printed = '';
  const io = {
    env: {},
    signal: new AbortController().signal,
    out: (text: string) => {
      printed += text;
    },
    err: (text: string) => {
      printed += text;
    },
  };
  const status = await runCli(['demo'], io, [
    (program, { out, err }) => {
      program.command('demo').action(() => {
        out(`result ${ESC}]0;title\u0007\n`);
        err(`reason ${ESC}[2J\n`);
        throw new Error(`stack ${ESC}[31m`);
      });
    },
  ]);
  expect(status).toBe(1);
  expect(printed).not.toContain(ESC);
  expect(printed).toContain(String.raw`result \u001b]0;title\u0007`);
  expect(printed).toContain(String.raw`stack \u001b[31m`);
});
