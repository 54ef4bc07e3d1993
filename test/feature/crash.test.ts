import { expect, test } from 'vitest';
import { killAtRandom } from '../crash/kill-at-random.mjs';

/** A small share of `node test/crash/kill-at-random.mjs`, which kills 200 times. */
test('what was told survives SIGKILL at random moments', async () => {
  const report = await killAtRandom({ rounds: 6, seed: Date.now() % 2 ** 31 });
  expect(report.broken).toEqual([]);
  expect(report).toMatchObject({ rounds: 6, kills: 6 });
  expect(report.addresses).toBeGreaterThan(0);
});
