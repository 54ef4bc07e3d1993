#!/usr/bin/env node
// Kills adsum with SIGKILL at random moments, while mesh files change, roots rotate, addresses are handed out and tokens come and go,
// and starts it again: what it told anybody before must still hold. Ends by itself.
//
//   npm run build && node test/crash/kill-at-random.mjs [--rounds 200] [--seed N]
//
// Exit status 0: nothing was lost. The seed is printed; the same seed makes the same changes, not the same moments.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const MOST_SERVICES = 60;
/** Later than this after it is ready adsum is killed at the latest. */
const LONGEST_LIFE_MS = 2500;

/**
 * @param {{ rounds: number, seed: number, log?: (line: string) => void }} options
 * @returns what was done, and every promise that did not hold
 */
export async function killAtRandom({ rounds, seed, log = () => {} }) {
  const random = seeded(seed);
  const dir = mkdtempSync(path.join(tmpdir(), 'adsum-crash-'));
  const data = path.join(dir, 'data');
  mkdirSync(path.join(dir, 'mesh'));
  const told = { addresses: new Map(), trustDomain: undefined, roots: new Map(), tokens: new Map(), revoked: new Set() };
  const broken = new Set();
  const counts = { rounds: 0, kills: 0, duringStart: 0, meshes: 0, rotations: 0, tokens: 0, revocations: 0 };
  let generation = 0;

  try {
    writeMesh();
    for (let round = 1; round <= rounds; round += 1) {
      counts.rounds = round;
      await oneRound(round);
      if (round % 20 === 0) log(`round ${round}: ${JSON.stringify(counts)}, broken promises: ${broken.size}`);
    }
    // A last start that is not disturbed.
    const adsum = start();
    if (await adsum.ready()) await check(adsum, 'at the end');
    else broken.add(`the last start failed: ${adsum.output()}`);
    const temporary = readdirSync(data, { recursive: true }).filter((name) => String(name).endsWith('.tmp'));
    if (temporary.length > 0) broken.add(`temporary files are left: ${temporary.join(', ')}`);
    await adsum.kill();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return { ...counts, addresses: told.addresses.size, roots: told.roots.size, broken: [...broken] };

  async function oneRound(round) {
    const adsum = start();
    const beforeReady = random() < 0.2;
    if (beforeReady) {
      await pause(random() * 1000);
      counts.duringStart += 1;
    } else if (await adsum.ready()) {
      const where = `round ${round}`;
      await check(adsum, where);
      const ending = new AbortController();
      const work = [
        repeat(ending.signal, 20, 80, () => writeMesh()),
        repeat(ending.signal, 50, 200, () => rotate(adsum)),
        repeat(ending.signal, 30, 100, () => changeTokens(adsum)),
        repeat(ending.signal, 30, 60, () => check(adsum, where)),
      ];
      await pause(random() * (random() < 0.3 ? 60 : LONGEST_LIFE_MS));
      await adsum.kill();
      ending.abort();
      await Promise.all(work);
    } else if (adsum.ended() && told.trustDomain !== undefined) broken.add(`round ${round}: does not start again: ${adsum.output()}`);
    await adsum.kill();
    counts.kills += 1;
    writeMesh(random() < 0.15);
  }

  /** Everything that is told now agrees with everything that was told before. */
  async function check(adsum, where) {
    const mesh = await adsum.get('/v1/mesh');
    if (!mesh) return;
    for (const { name, virtual_ips: addresses } of mesh.services) {
      for (const address of addresses) {
        const before = told.addresses.get(name);
        if (before !== undefined && before !== address) broken.add(`${where}: ${name} moved from ${before} to ${address}`);
        told.addresses.set(name, address);
      }
    }
    const owners = new Map();
    for (const [name, address] of told.addresses) {
      if (owners.has(address)) broken.add(`${where}: ${address} was told for ${owners.get(address)} and for ${name}`);
      owners.set(address, name);
    }
    const ca = await adsum.get('/v1/ca/roots');
    if (!ca) return;
    if (told.trustDomain !== undefined && told.trustDomain !== ca.trust_domain) broken.add(`${where}: another trust domain`);
    told.trustDomain = ca.trust_domain;
    const trusted = new Map(ca.roots.map((root) => [root.id, root.pem]));
    // Each lives for three days after it has signed last; none may be gone here.
    for (const [id, pem] of told.roots) if (trusted.get(id) !== pem) broken.add(`${where}: root ${id} is not trusted any more`);
    for (const [id, pem] of trusted) told.roots.set(id, pem);
    if (ca.roots.filter(({ signing }) => signing).length !== 1) broken.add(`${where}: not exactly one root signs`);
    const [before, gone] = [[...told.tokens.keys()], [...told.revoked]];
    const list = await adsum.get('/v1/tokens');
    if (!list) return;
    const listed = new Set(list.tokens.map(({ id }) => id));
    for (const id of before) if (!listed.has(id) && told.tokens.has(id)) broken.add(`${where}: token ${id} is gone`);
    for (const id of gone) if (listed.has(id)) broken.add(`${where}: token ${id} is back`);
  }

  async function rotate(adsum) {
    if (told.roots.size > 40) return;
    const answer = await adsum.ask('POST', '/v1/ca/rotate', {});
    if (answer?.status === 200) counts.rotations += 1;
  }

  async function changeTokens(adsum) {
    const [first] = told.tokens.keys();
    if (told.tokens.size > 20 && first !== undefined) {
      // From here on it may be gone, from the answer on it must be. Without an answer nobody can say.
      told.tokens.delete(first);
      const answer = await adsum.ask('DELETE', `/v1/tokens/${first}`);
      if (answer && answer.status < 300) {
        told.revoked.add(first);
        counts.revocations += 1;
      } else if (answer) told.tokens.set(first, true);
      return;
    }
    const answer = await adsum.ask('POST', '/v1/tokens', { service: 's1' });
    if (answer?.status !== 200 && answer?.status !== 201) return;
    told.tokens.set(answer.body.id, true);
    counts.tokens += 1;
  }

  function writeMesh(isBroken = random() < 0.1) {
    generation += 1;
    counts.meshes += 1;
    const numbers = new Set(Array.from({ length: 12 }, () => Math.floor(random() * MOST_SERVICES)));
    const services = [...numbers].map((number) => ({ name: `s${number}`, port: 2000 + number, connect: { sidecar_service: {} } }));
    const text = isBroken
      ? '{ "nodes": ['
      : JSON.stringify({ nodes: [{ name: 'vm', address: '10.0.0.1', services, meta: { generation: String(generation) } }] });
    const file = path.join(dir, 'mesh', 'mesh.json');
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  function start() {
    const args = ['serve', '--mesh', path.join(dir, 'mesh'), '--grpc', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--dns', 'off', '--data-dir', data];
    const child = spawn(process.execPath, [MAIN, '--log-format', 'json', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.on('data', (chunk) => {
      output = `${output}${chunk}`.slice(-4000);
    });
    const exited = once(child, 'exit');
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    const socket = path.join(data, 'admin.sock');
    const ask = (method, where, body) => askOverSocket(socket, method, where, body);
    return {
      ask,
      ended,
      output: () => output,
      get: async (where) => {
        const answer = await ask('GET', where);
        return answer?.status === 200 ? answer.body : undefined;
      },
      async ready() {
        while (!ended()) {
          const answer = await ask('GET', '/readyz');
          if (answer?.status === 200) return true;
          await pause(20);
        }
        return false;
      },
      async kill() {
        child.kill('SIGKILL');
        await exited;
      },
    };
  }
}

/** @returns undefined when nobody answers to the end */
function askOverSocket(socketPath, method, where, body) {
  return new Promise((resolve) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const asked = request({ socketPath, method, path: where, headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', () => resolve(undefined));
      response.on('close', () => {
        if (!response.complete) return resolve(undefined);
        resolve({ status: response.statusCode, body: text === '' ? undefined : JSON.parse(text) });
      });
    });
    asked.on('error', () => resolve(undefined));
    asked.end(payload);
  });
}

async function repeat(signal, leastMs, spreadMs, action) {
  while (!signal.aborted) {
    await action();
    await pause(leastMs + Math.random() * spreadMs, undefined, { signal }).catch(() => {});
  }
}

/** Mulberry32. */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const say = (line) => process.stdout.write(`${line}\n`);
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } });
  say(`seed ${values.seed}`);
  const { broken, ...counts } = await killAtRandom({ rounds: Number(values.rounds), seed: Number(values.seed), log: say });
  say(JSON.stringify(counts));
  for (const promise of broken) say(`BROKEN: ${promise}`);
  say(broken.length === 0 ? 'nothing that was told was lost' : `${broken.length} broken promises`);
  process.exit(broken.length === 0 ? 0 : 1);
}
