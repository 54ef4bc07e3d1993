import fc from 'fast-check';
import { describe, test } from 'vitest';
import { targets } from '../fuzz/targets.ts';

/**
 * A bounded share of what `node test/fuzz/run.mjs` does in the large. `FUZZ_RUNS`, `FUZZ_SEED` and `FUZZ_TARGET` are its words; a failure prints
 * the seed that brings it back.
 */
const RUNS = Number(process.env.FUZZ_RUNS ?? 200);
const SEED = process.env.FUZZ_SEED;

/** Seeds that once found something. They are tried first, for ever. */
const KEPT_SEEDS: Record<string, readonly number[]> = { 'mesh-files': [], 'config-entries': [], 'consul-answers': [] };

const chosen = Object.entries(targets).filter(([name]) => !process.env.FUZZ_TARGET || process.env.FUZZ_TARGET === name);

describe.each(chosen)('%s, however hostile', (name, { input, check }) => {
  test('end in a value or in problems, never in an exception, and open nothing', { timeout: 24 * 3_600_000 }, () => {
    for (const seed of KEPT_SEEDS[name] ?? []) fc.assert(fc.property(input, check), { numRuns: 400, seed });
    fc.assert(fc.property(input, check), { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) });
  });
});
