// Runs the fuzz suites with many inputs: node scripts/fuzz.mjs xds|dns|open-chain [INPUTS] [SEED]
// The seed is printed first: with the same seed and number the same inputs come again. What it finds is printed smallest first; keep the
// seed in test/property/fuzz-seeds.json.
import { spawn } from 'node:child_process';

const [suite, inputs = '100000', seed = String(Math.floor(Math.random() * 2 ** 31))] = process.argv.slice(2);
const titles = { xds: 'xDS', dns: 'DNS', 'open-chain': 'hatches and extensions open nothing' };
if (!(suite in titles) || !/^\d+$/.test(inputs) || !/^\d+$/.test(seed)) {
  console.error('usage: node scripts/fuzz.mjs xds|dns|open-chain [INPUTS] [SEED]');
  process.exit(2);
}
console.log(`fuzz: ${suite}, ${inputs} inputs, seed ${seed}`);
const [file, title] = suite === 'open-chain' ? ['open-chain', titles[suite]] : ['fuzz', `${titles[suite]}.*anew`];
const args = ['vitest', 'run', '--project', 'fast', `test/property/${file}.test.ts`, '-t', `^${title}`, '--testTimeout', '0'];
const vitest = spawn('npx', args, { stdio: 'inherit', env: { ...process.env, FUZZ_INPUTS: inputs, FUZZ_SEED: seed } });
vitest.on('exit', (status) => process.exit(status ?? 1));
