#!/usr/bin/env node
// The fuzz suites in the large, in slices of their own process, each with the next seed. Ends by itself.
//
//   node test/fuzz/run.mjs [--target mesh-files|config-entries|consul-answers] [--runs 1000000] [--slice 20000] [--seed 1]
//
// Exit status 1 at the first input that breaks a promise; what brings it back is printed.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TARGETS = ['mesh-files', 'config-entries', 'consul-answers'];

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: TARGETS },
    runs: { type: 'string', default: '1000000' },
    slice: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
  },
});
const [runs, slice] = [Number(values.runs), Number(values.slice)];

for (const target of values.target) {
  let done = 0;
  for (let seed = Number(values.seed); done < runs; seed += 1) {
    const count = Math.min(slice, runs - done);
    const env = { ...process.env, FUZZ_TARGET: target, FUZZ_RUNS: String(count), FUZZ_SEED: String(seed) };
    const vitest = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
    const run = spawnSync(process.execPath, [vitest, 'run', '--project', 'fast', 'test/property/fuzz-input.test.ts'], { cwd: ROOT, env, encoding: 'utf8' });
    if (run.status !== 0) {
      process.stdout.write(`${target}: seed ${seed} of ${count} inputs broke a promise after ${done}\n${run.stdout}${run.stderr}\n`);
      process.exit(1);
    }
    done += count;
    process.stdout.write(`${target}: ${done} of ${runs} inputs, seed ${seed}\n`);
  }
}
