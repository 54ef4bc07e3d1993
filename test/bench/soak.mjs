// adsum under constant change for a long time:  node test/bench/soak.mjs [--minutes 30] [--size 50x4x6] [--variant delta|sotw] [--seed 1]
//
// Endpoints, intentions and configuration come and go several times a second while parts of the fleet lose their connections. At the end each
// sidecar must hold exactly what a new adsum works out from the same files; no stream may have ended by itself, and memory must be flat.
// Exit status 1 when one of these does not hold.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CHANGES, makeMesh, parseSize, proxiesOf, writeMesh } from './mesh.mjs';
import { startAdsum, startFleet } from './processes.mjs';

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    size: { type: 'string', default: '50x4x6' },
    variant: { type: 'string', default: 'delta' },
    seed: { type: 'string', default: '1' },
  },
});
const { variant } = flags;
const durationMs = Number(flags.minutes) * 60_000;
/** adsum lets a cluster that nothing leads to any more be for half a minute. */
const LINGER_MS = 35_000;
const SAMPLES = 30;

const folder = mkdtempSync(path.join(tmpdir(), 'adsum-soak-'));
const meshFolder = path.join(folder, 'mesh');
const mesh = makeMesh(parseSize(flags.size));
const proxies = proxiesOf(mesh);
const random = randomFrom(Number(flags.seed));
const below = (limit) => Math.floor(random() * limit);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

writeMesh(meshFolder, mesh);
const adsum = await startAdsum({ mesh: meshFolder, folder });
const fleet = startFleet();
let failed = false;
try {
  const { target } = adsum;
  const cold = await fleet.call('connect', { target, proxies, variant });
  say(`${cold.ready} of ${proxies.length} sidecars are ready; ${flags.minutes} minutes of change begin`);
  await fleet.call('mark');
  const { changes, memory } = await churn(target);
  const report = await fleet.call('report');
  say(`${changes} changes; ${report.resources} resources sent, ${report.unchanged} of them as they were; ${report.removed} removed`);
  check(report.ended === 0, `${report.ended} streams ended by themselves ${report.reasons.join('; ')}`);
  // The first third is for caches to fill.
  const settled = memory.slice(Math.floor(SAMPLES / 3));
  const half = Math.floor(settled.length / 2);
  const [early, late] = [settled.slice(0, half), settled.slice(half)].map((part) => part.reduce((sum, mb) => sum + mb, 0) / part.length);
  say(`memory, MB: ${memory.map((mb) => mb.toFixed(0)).join(' ')}`);
  check(late < early * 1.1 + 5, `memory ${early.toFixed(0)} MB in the second third, ${late.toFixed(0)} MB in the last`);
  say('waiting until what lingers is gone');
  await pause(LINGER_MS);
  await fleet.call('settle', { quietMs: 5000 });
  await compare(await fleet.call('state'));
} finally {
  fleet.stop();
  await adsum.server.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function churn(target) {
  const memory = [];
  const end = performance.now() + durationMs;
  let changes = 0;
  for (let sampleAt = performance.now(); performance.now() < end; ) {
    change(target);
    changes += 1;
    if (performance.now() >= sampleAt) {
      memory.push(adsum.server.rssMb());
      sampleAt += durationMs / SAMPLES;
    }
    await pause(50 + below(300));
  }
  return { changes, memory };
}

function change(target) {
  const what = below(100);
  const n = below(20);
  if (what < 30) CHANGES['endpoint added'].files(meshFolder, n);
  else if (what < 55) CHANGES['endpoint removed'].files(meshFolder, n);
  else if (what < 75) toggleIntention(below(mesh.intentions.length), below(parseSize(flags.size).services));
  else if (what < 85) CHANGES["one proxy's config"].files(meshFolder, n);
  else if (what < 92) CHANGES['unrelated service'].files(meshFolder, n);
  else if (what < 93) CHANGES['proxy-defaults'].files(meshFolder, n);
  else void fleet.call('reconnectSome', { target, variant, first: below(proxies.length), count: Math.ceil(proxies.length / 20) });
}

function toggleIntention(entry, service) {
  const { name } = mesh.intentions[entry];
  const file = path.join(meshFolder, `intentions-${name}.json`);
  const {
    config_entries: [current],
  } = JSON.parse(readFileSync(file, 'utf8'));
  const source = `svc-${service}`;
  const others = current.sources.filter((one) => one.name !== source);
  const added = others.length === current.sources.length && source !== name;
  const sources = added ? [...others, { name: source, action: 'allow' }] : others.length > 0 ? others : current.sources;
  writeFileSync(file, JSON.stringify({ config_entries: [{ ...current, sources }] }));
}

/** A new adsum with the same CA and virtual IPs works everything out from the start. */
async function compare(held) {
  const second = path.join(folder, 'second');
  cpSync(path.join(folder, 'data'), path.join(second, 'data'), { recursive: true, filter: (file) => !/(?:^|[/.])(?:lock|sock)$/.test(file) });
  const fresh = await startAdsum({ mesh: meshFolder, folder: second });
  const reference = startFleet();
  try {
    await reference.call('connect', { target: fresh.target, proxies, variant });
    const wanted = new Map(await reference.call('state'));
    const different = held.filter(([proxy, state]) => JSON.stringify(state) !== JSON.stringify(wanted.get(proxy)));
    check(different.length === 0, `${different.length} of ${held.length} sidecars hold something else than a full recomputation gives`);
    for (const [proxy, state] of different.slice(0, 3)) say(`  ${proxy}: ${differences(state, wanted.get(proxy))}`);
  } finally {
    reference.stop();
    await fresh.server.stop();
  }
}

function differences(have, want) {
  return have
    .flatMap(([type, resources], i) => {
      const other = new Map(want[i][1]);
      const mine = new Map(resources);
      const names = new Set([...mine.keys(), ...other.keys()]);
      return [...names]
        .filter((name) => mine.get(name) !== other.get(name))
        .map((name) => `${type.split('.').at(-1)} ${name} ${mine.has(name) ? (other.has(name) ? 'differs' : 'too much') : 'is missing'}`);
    })
    .join(', ');
}

function check(holds, text) {
  say(`${holds ? 'ok  ' : 'FAIL'} ${text}`);
  if (!holds) failed = true;
}

/** The same sequence for the same seed (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function say(line) {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
