import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const bench = fileURLToPath(new URL('../bench/run.mjs', import.meta.url));

test('the benchmark runs, and adsum sends nothing that had not changed', { timeout: 0 }, async () => {
  const { stdout } = await run(process.execPath, [bench, '--size', '6x2x2', '--rounds', '1', '--repeat', '1', '--no-consul']);
  const cells = (title: string) => stdout.match(new RegExp(`^\\| ${title} \\| (.*) \\|$`, 'm'))?.[1]?.split(' | ') ?? [];
  // Two instances of each of the two callers, and those of the service itself where its endpoints matter to nobody else.
  expect(Number(cells('endpoint added')[0])).toBe(4);
  expect(Number(cells('unrelated service')[0])).toBe(0);
  expect(Number(cells('proxy-defaults')[0])).toBeGreaterThan(6);
  for (const kind of ['endpoint added', 'endpoint removed', 'intention added', "one proxy's config", 'proxy-defaults'])
    expect(cells(kind)[2], kind).toMatch(/, 0$/);
  expect(cells('reconnect, CPU per sidecar')[0]).toContain('; 0 resources sent');
});
