// The processes of a benchmark: adsum, the bare transport, a real Consul, and the fleet.
import { fork, spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const adsum = process.env.ADSUM_PROGRAM ?? path.join(here, '../../dist/main.js');

/** A child process with what it costs. `stop` resolves when it has ended. */
class Server {
  constructor(child) {
    this.child = child;
    this.ended = new Promise((resolve) => child.once('exit', resolve));
  }

  /** Milliseconds of CPU so far, all threads together, in microsecond steps. */
  cpuMs() {
    const tasks = readdirSync(`/proc/${this.child.pid}/task`);
    const nanoseconds = tasks.map((task) => Number(readFileSync(`/proc/${this.child.pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]));
    return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
  }

  rssMb() {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1]) / 1024;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.ended;
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(server, url, isReady, what, log) {
  for (let tries = 0; tries < 1200; tries += 1) {
    if (server.child.exitCode !== null) throw new Error(`${what} has ended with ${server.child.exitCode}:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    const ok = await fetch(url).then(
      async (response) => response.ok && isReady(await response.text()),
      () => false,
    );
    if (ok) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what} was not ready after a minute`);
}

/** `adsum serve` on a folder of mesh files. @returns the server, its xDS address and how long it took until ready */
export async function startAdsum({ mesh, folder, node = process.execPath, args = [] }) {
  const [grpc, admin] = [await freePort(), await freePort()];
  const logFile = path.join(folder, 'adsum.log');
  const log = openSync(logFile, 'a');
  const flags = [
    '--mesh',
    mesh,
    '--grpc',
    `127.0.0.1:${grpc}`,
    '--admin',
    `127.0.0.1:${admin}`,
    '--dns',
    'off',
    '--data-dir',
    path.join(folder, 'data'),
    ...args,
  ];
  const startMs = performance.now();
  const server = new Server(spawn(node, [adsum, 'serve', ...flags], { stdio: ['ignore', log, log], detached: false }));
  await answers(server, `http://127.0.0.1:${admin}/readyz`, () => true, 'adsum', logFile);
  return { server, target: `127.0.0.1:${grpc}`, admin: `http://127.0.0.1:${admin}`, readyMs: performance.now() - startMs };
}

export async function startReplay(recording) {
  const child = fork(path.join(here, 'replay-server.mjs'), [recording]);
  const { port } = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the bare transport has ended with ${code}`)));
  });
  return { server: new Server(child), target: `127.0.0.1:${port}` };
}

/** A Consul in development mode, its own limits raised so that it is measured and not they. */
export async function startConsul({ binary, folder }) {
  const [http, grpc, ...others] = await Promise.all(Array.from({ length: 6 }, freePort));
  const [tls, server, lan, wan] = others;
  const ports = [
    `-http-port=${http}`,
    `-grpc-port=${grpc}`,
    `-grpc-tls-port=${tls}`,
    `-server-port=${server}`,
    `-serf-lan-port=${lan}`,
    `-serf-wan-port=${wan}`,
    '-dns-port=-1',
  ];
  const config = [
    'default_intention_policy = "deny"',
    'limits { http_max_conns_per_client = 10000 rpc_max_conns_per_client = 10000 }',
    'xds { update_max_per_second = 1000000 }',
    'connect { enabled = true ca_provider = "consul" ca_config { csr_max_per_second = 0 csr_max_concurrent = 2 } }',
  ].flatMap((text) => ['-hcl', text]);
  const logFile = path.join(folder, 'consul.log');
  const log = openSync(logFile, 'a');
  const consul = new Server(spawn(binary, ['agent', '-dev', '-log-level=warn', ...ports, ...config], { stdio: ['ignore', log, log] }));
  const url = `http://127.0.0.1:${http}`;
  await answers(consul, `${url}/v1/status/leader`, (text) => text.length > 4, 'consul', logFile);
  return { server: consul, target: `127.0.0.1:${grpc}`, url };
}

/** Sends requests to Consul, a few at a time. */
export async function askConsul(url, requests) {
  const waiting = [...requests];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [method, where, body] = next;
      const response = await fetch(url + where, { method, body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${await response.text()}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

/** The fleet in a process of its own. `call` sends one of the commands of load.mjs. */
export function startFleet() {
  const child = fork(path.join(here, 'load.mjs'), { execArgv: ['--max-old-space-size=4096'] });
  const waiting = new Map();
  let lastId = 0;
  child.on('message', ({ id, result, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  });
  child.once('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the fleet has ended with ${code ?? signal}`));
  });
  return {
    call: (command, args) =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve, reject });
        child.send({ id, command, args });
      }),
    stop: () => child.disconnect(),
  };
}
