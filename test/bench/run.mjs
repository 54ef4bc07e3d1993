// What adsum costs, beside the bare transport and, where one is found, a real Consul:  npm run bench -- [options]
//
//   --size 200x5x10     services x instances x callees; every instance is a sidecar with a connection of its own
//   --variant delta     or sotw, or both
//   --rounds 3          cold starts of adsum and of the bare transport, in turn
//   --repeat 3          turns of each kind of change
//   --no-consul         leave Consul out (it is looked for in CONSUL_BIN and PATH)
//   --growth            instead: how cost grows with services, instances and callees, with exponents
//   --json FILE         everything that was measured
//
// CPU is that of the server process. Server and fleet share the machine: trust CPU, and ratios of one run, more than times.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CHANGES, consulRequests, makeMesh, parseSize, proxiesOf, writeMesh } from './mesh.mjs';
import { askConsul, startAdsum, startConsul, startFleet, startReplay } from './processes.mjs';

const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: '200x5x10' },
    variant: { type: 'string', default: 'delta' },
    rounds: { type: 'string', default: '3' },
    repeat: { type: 'string', default: '3' },
    'no-consul': { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const repeat = Number(flags.repeat);
const folder = mkdtempSync(path.join(tmpdir(), 'adsum-bench-'));
const running = [];
let lastFolder = 0;

try {
  const measured = flags.growth ? await growth() : await all();
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify(measured, undefined, 2)}\n`);
} finally {
  for (const { server } of running) await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function all() {
  const measured = [];
  for (const variant of flags.variant === 'both' ? ['delta', 'sotw'] : [flags.variant]) {
    const mesh = makeMesh(parseSize(flags.size));
    const rounds = [];
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      const recording = path.join(folder, 'recording.json');
      const last = round + 1 === Number(flags.rounds);
      const adsum = await measureAdsum(mesh, variant, { recording, changes: last });
      const floor = await measureReplay(mesh, variant, recording);
      rounds.push({ adsum, floor });
      say(
        `round ${round + 1}: adsum ${adsum.cpuPerSidecar.toFixed(2)} ms CPU per sidecar, t99 ${adsum.cold.t99.toFixed(0)} ms; bare transport ${floor.cpuPerSidecar.toFixed(2)} ms, t99 ${floor.cold.t99.toFixed(0)} ms`,
      );
    }
    const consul = flags['no-consul'] ? undefined : await measureConsul(mesh, variant);
    printTable(variant, rounds, consul);
    measured.push({ variant, size: flags.size, rounds, consul });
  }
  return measured;
}

async function measureAdsum(mesh, variant, { recording, changes, kinds = Object.keys(CHANGES) }) {
  const own = path.join(folder, `adsum-${++lastFolder}`);
  writeMesh(path.join(own, 'mesh'), mesh);
  const adsum = await startAdsum({ mesh: path.join(own, 'mesh'), folder: own });
  const change = (kind, n) => CHANGES[kind].files(path.join(own, 'mesh'), n);
  return { ...(await measure(adsum, mesh, variant, { recording, change: changes ? change : undefined, kinds })), readyMs: adsum.readyMs };
}

async function measureReplay(mesh, variant, recording) {
  return measure(await startReplay(recording), mesh, variant, {});
}

async function measureConsul(mesh, variant) {
  const binary = process.env.CONSUL_BIN ?? 'consul';
  if (spawnSync(binary, ['version']).status !== 0) {
    say('no Consul here (CONSUL_BIN, PATH): it is left out');
    return undefined;
  }
  const consul = await startConsul({ binary, folder });
  await askConsul(consul.url, consulRequests(mesh));
  return measure(consul, mesh, variant, { change: (kind, n) => askConsul(consul.url, CHANGES[kind].consul(n, mesh)), kinds: Object.keys(CHANGES) });
}

async function measure({ server, target }, mesh, variant, { recording, change, kinds = [] }) {
  running.push({ server });
  const fleet = startFleet();
  const proxies = proxiesOf(mesh);
  const emptyMb = server.rssMb();
  const spent = async (work) => {
    const before = server.cpuMs();
    const result = await work();
    return { ...result, cpuMs: server.cpuMs() - before };
  };
  try {
    const cold = await spent(() => fleet.call('connect', { target, proxies, variant, record: recording }));
    if (cold.ready < proxies.length) throw new Error(`only ${cold.ready} of ${proxies.length} sidecars were ready`);
    const result = {
      cold,
      cpuPerSidecar: cold.cpuMs / proxies.length,
      kbPerSidecar: cold.bytes / 1024 / proxies.length,
      memoryKb: ((server.rssMb() - emptyMb) * 1024) / proxies.length,
      changes: {},
    };
    if (!change) return result;
    const idle = await spent(() => new Promise((done) => setTimeout(() => done({}), 3000)));
    result.idlePerSecondMs = idle.cpuMs / 3;
    for (const kind of kinds) result.changes[kind] = await measureChange(kind);
    await fleet.call('disconnect');
    result.reconnect = await spent(() => fleet.call('connect', { target, variant, again: true }));
    return result;
  } finally {
    fleet.stop();
    await server.stop();
  }

  async function measureChange(kind) {
    const turns = [];
    for (let n = 0; n < repeat; n += 1) {
      await fleet.call('mark');
      turns.push(
        await spent(async () => {
          await change(kind, n);
          return fleet.call('settle', CHANGES[kind].touchesNobody ? { quietMs: 2500 } : { expected: true });
        }),
      );
    }
    return median(turns, ({ cpuMs }) => cpuMs);
  }
}

function printTable(variant, rounds, consul) {
  const { adsum } = rounds.at(-1);
  const ratio = (of) =>
    median(
      rounds.map(({ adsum: a, floor }) => of(a) / of(floor)),
      (value) => value,
    );
  const sidecars = adsum.cold.ready;
  say(
    `\n${variant}, ${flags.size}: ${sidecars} sidecars, ${adsum.kbPerSidecar.toFixed(1)} KB each; medians of ${rounds.length} cold starts and ${repeat} changes\n`,
  );
  const middle = (of, who) =>
    median(
      rounds.map((round) => of(round[who])),
      (value) => value,
    );
  const cpu = (one) => one.cpuPerSidecar;
  const t99 = (one) => one.cold.t99;
  row('', 'adsum', 'bare transport', 'adsum / transport', consul ? 'Consul' : '');
  row('---', '---', '---', '---', consul ? '---' : '');
  row(
    'cold start, CPU per sidecar',
    `${middle(cpu, 'adsum').toFixed(2)} ms`,
    `${middle(cpu, 'floor').toFixed(2)} ms`,
    ratio(cpu).toFixed(2),
    consul && `${consul.cpuPerSidecar.toFixed(1)} ms`,
  );
  row(
    'cold start, t99',
    `${middle(t99, 'adsum').toFixed(0)} ms`,
    `${middle(t99, 'floor').toFixed(0)} ms`,
    ratio(t99).toFixed(2),
    consul && `${consul.cold.t99.toFixed(0)} ms`,
  );
  const first = (one) => one.cold.firstListeners / one.cold.t99;
  row('first listeners, share of t99', middle(first, 'adsum').toFixed(2), middle(first, 'floor').toFixed(2), '', consul && first(consul).toFixed(2));
  row(
    'memory per sidecar',
    `${adsum.memoryKb.toFixed(0)} KB`,
    `${middle((one) => one.memoryKb, 'floor').toFixed(0)} KB`,
    '',
    consul && `${consul.memoryKb.toFixed(0)} KB`,
  );
  const floorCpu = middle(cpu, 'floor');
  const back = (one) => one && `${(one.reconnect.cpuMs / sidecars).toFixed(2)} ms; ${one.reconnect.resources} resources sent`;
  row('reconnect, CPU per sidecar', back(adsum), '', (adsum.reconnect.cpuMs / sidecars / floorCpu).toFixed(2), back(consul));
  row('idle, CPU per second', `${adsum.idlePerSecondMs.toFixed(1)} ms`, '', '', consul && `${consul.idlePerSecondMs.toFixed(1)} ms`);
  say('');
  row(
    'change',
    'sidecars',
    'adsum: CPU · p99',
    'resources, unchanged among them',
    consul ? 'Consul: CPU · p99 · sidecars' : '',
    consul ? 'Consul / adsum' : '',
  );
  row('---', '---', '---', '---', consul ? '---' : '', consul ? '---' : '');
  for (const [kind, one] of Object.entries(adsum.changes)) {
    const theirs = consul?.changes[kind];
    row(
      kind,
      one.affected,
      `${one.cpuMs.toFixed(1)} ms · ${one.p99.toFixed(0)} ms`,
      `${one.resources}, ${one.unchanged}`,
      theirs && `${theirs.cpuMs.toFixed(0)} ms · ${theirs.p99.toFixed(0)} ms · ${theirs.affected}`,
      theirs && `${(theirs.cpuMs / one.cpuMs).toFixed(1)} · ${one.p99 ? (theirs.p99 / one.p99).toFixed(1) : '–'}`,
    );
  }
}

/** Three lines of four sizes each; the exponent is that of the best power law, 1 is in proportion. */
async function growth() {
  const lines = {
    services: ['25x5x5', '50x5x5', '100x5x5', '200x5x5'],
    instances: ['50x2x5', '50x4x5', '50x8x5', '50x16x5'],
    callees: ['100x4x4', '100x4x8', '100x4x16', '100x4x32'],
  };
  const kinds = ['endpoint added', 'intention added', "one proxy's config", 'unrelated service'];
  const measured = {};
  for (const [what, sizes] of Object.entries(lines)) {
    const results = [];
    for (const size of sizes) {
      const mesh = makeMesh(parseSize(size));
      results.push({ size, sidecars: proxiesOf(mesh).length, ...(await measureAdsum(mesh, 'delta', { changes: true, kinds })) });
      say(`${size} measured`);
    }
    measured[what] = results;
    const grown = sizes.map((size) => parseSize(size)[what]);
    say(`\nGrowing ${what}\n`);
    row('', ...sizes, 'exponent');
    row('---', ...sizes.map(() => '---'), '---');
    const line = (title, of, digits = 1) => row(title, ...results.map((one) => of(one).toFixed(digits)), exponent(grown, results.map(of)).toFixed(2));
    row('sidecars', ...results.map(({ sidecars }) => sidecars), '');
    line('load to ready, ms', (one) => one.readyMs, 0);
    line('cold start, CPU ms in all', (one) => one.cold.cpuMs, 0);
    line('cold start, CPU ms per sidecar', cpuPerSidecar, 2);
    for (const kind of kinds) line(`${kind}, CPU ms`, (one) => one.changes[kind].cpuMs);
    say('');
  }
  return measured;

  function cpuPerSidecar(one) {
    return one.cpuPerSidecar;
  }
}

function exponent(xs, ys) {
  const [u, v] = [xs.map(Math.log), ys.map((y) => Math.log(Math.max(y, 0.01)))];
  const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
  const [mu, mv] = [mean(u), mean(v)];
  return u.reduce((sum, one, i) => sum + (one - mu) * (v[i] - mv), 0) / u.reduce((sum, one) => sum + (one - mu) ** 2, 0);
}

function median(list, of) {
  return [...list].sort((a, b) => of(a) - of(b))[Math.floor(list.length / 2)];
}

function row(...cells) {
  say(`| ${cells.filter((cell, i) => i < 4 || (cell !== '' && cell !== undefined)).join(' | ')} |`);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
