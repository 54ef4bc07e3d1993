// The part that needs no privileges: two real sidecars on loopback, and web's explicit upstream on localhost.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDefaultEnvoy } from '../scripts/envoy-binary.mjs';
import { MeshFile } from './mesh.mjs';
import { eventually, expect, need, say, step } from './report.mjs';
import { comesUp, envoyState } from './started.mjs';

const fromHere = (file) => fileURLToPath(new URL(file, import.meta.url));
const adsum = [process.execPath, fromHere('../dist/main.js')];
const running = [];

export async function runOnLocalhost(folder) {
  const envoy = findDefaultEnvoy();
  const ports = await freePorts(['grpc', 'http', 'dns', 'app', 'upstream', 'webSidecar', 'apiSidecar', 'webAdmin', 'apiAdmin']);
  const mesh = new MeshFile(path.join(folder, 'mesh.yaml'), JSON.stringify(localMesh(ports)));
  for (const name of ['data', 'logs']) mkdirSync(path.join(folder, name));
  say(`web and api on this host with Envoy ${envoy.version}, web's upstream on localhost:${ports.upstream}:\n`);
  const listen = ['--grpc', `127.0.0.1:${ports.grpc}`, '--admin', `127.0.0.1:${ports.http}`, '--dns', `127.0.0.1:${ports.dns}`];
  const control = start(folder, 'adsum', ...adsum, 'serve', '--mesh', mesh.file, '--data-dir', path.join(folder, 'data'), ...listen);
  start(folder, 'app-api', process.execPath, fromHere('apps/http-app.mjs'), 'api', `${ports.app}`, '127.0.0.1');
  await need('adsum serve on the mesh file', async () => {
    await comesUp('adsum', control, async () => {
      const { status, error } = await client('http', `http://127.0.0.1:${ports.http}/readyz`);
      return status === 200 ? undefined : `not ready (${error ?? status})`;
    });
    return `ready, xDS on 127.0.0.1:${ports.grpc}`;
  });
  await need('two sidecars, each with its configuration from adsum', async () => {
    const admins = { web: ports.webAdmin, api: ports.apiAdmin };
    const sidecars = Object.entries(admins).map(([name, admin]) => {
      const where = ['--grpc-addr', `127.0.0.1:${ports.grpc}`, '--admin-bind', `127.0.0.1:${admin}`, '--envoy-binary', envoy.binary];
      return { name, admin, started: start(folder, `envoy-${name}`, ...adsum, 'envoy', '--sidecar-for', name, ...where, '--', '--concurrency', '1') };
    });
    for (const { name, admin, started } of sidecars) {
      await comesUp(`the sidecar of ${name}`, started, async () => envoyState(await client('http', `http://127.0.0.1:${admin}/ready`)));
    }
    return 'LIVE';
  });
  await showMesh(mesh, ports);
}

async function showMesh(mesh, ports) {
  const call = (target = '/') => client('http', `http://127.0.0.1:${ports.upstream}${target}`);
  const works = async () => {
    const outcome = await call();
    expect(outcome.status === 200, outcome);
    const caller = JSON.parse(outcome.body).client_cert?.match(/URI=(spiffe:[^;,]*)/)?.[1];
    expect(caller?.endsWith('/svc/web'), outcome);
    return `200 in ${outcome.ms} ms; api saw the caller as ${caller}`;
  };
  await step('adsum answers for api.virtual.consul', () =>
    eventually(async () => {
      const { answers, error } = await client('dns', 'api.virtual.consul', `127.0.0.1:${ports.dns}`);
      expect(answers[0]?.startsWith('240.'), { answers, error });
      return answers[0];
    }),
  );
  await step('web calls api on its localhost upstream', () => eventually(works));
  await step('path /admin is not allowed', async () => {
    const outcome = await call('/admin');
    expect(outcome.status === 403, outcome);
    return '403';
  });
  mesh.deny('api');
  await step('intention changed to deny', () =>
    eventually(async () => {
      const outcome = await call();
      expect(outcome.status !== 200, outcome);
      return `refused: ${outcome.error ?? `${outcome.status} "${outcome.body}"`}`;
    }),
  );
  mesh.restore();
  await step('changed back to allow', () => eventually(works));
  for (const kind of ['tcp', 'tls']) {
    await step(`${kind === 'tcp' ? 'plaintext' : 'TLS without a certificate'} to the sidecar of api`, async () => {
      const outcome = await client(kind, '127.0.0.1', `${ports.apiSidecar}`, ...(kind === 'tcp' ? ['GET / HTTP/1.0\r\n'] : []));
      expect(!outcome.received && outcome.error !== undefined && outcome.error !== 'TIMEOUT', outcome);
      return `refused (${outcome.error})`;
    });
  }
}

function localMesh(ports) {
  const sidecar = (port, proxy) => ({ sidecar_service: { port, proxy: { config: { bind_address: '127.0.0.1' }, ...proxy } } });
  const upstreams = [{ destination_name: 'api', local_bind_port: ports.upstream }];
  const permissions = [
    { action: 'deny', http: { path_prefix: '/admin' } },
    { action: 'allow', http: { path_prefix: '/' } },
  ];
  return {
    nodes: [
      {
        name: 'localhost',
        address: '127.0.0.1',
        services: [
          { name: 'web', port: ports.app, connect: sidecar(ports.webSidecar, { upstreams }) },
          { name: 'api', port: ports.app, connect: sidecar(ports.apiSidecar, {}) },
        ],
      },
    ],
    config_entries: [
      { kind: 'service-defaults', name: 'api', protocol: 'http' },
      { kind: 'service-intentions', name: 'api', sources: [{ name: 'web', permissions }] },
    ],
  };
}

/** Ports that nobody listens on, from below the range that the system takes for outgoing connections: it must not take one meanwhile. */
async function freePorts(names) {
  const ports = {};
  for (const name of names) {
    do ports[name] = randomInt(10_000, 30_000);
    while (!(await isFree(ports[name])) || Object.values(ports).filter((port) => port === ports[name]).length > 1);
  }
  return ports;
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function start(folder, name, ...command) {
  const log = path.join(folder, 'logs', `${name}.log`);
  const output = openSync(log, 'w');
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', output, output] });
  running.push(child);
  return { log, hasEnded: () => child.exitCode !== null || child.signalCode !== null, output: () => readFileSync(log, 'utf8') };
}

function client(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fromHere('apps/client.mjs'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.on('close', () => (output ? resolve(JSON.parse(output)) : reject(new Error('the client said nothing'))));
  });
}

/** SIGTERM, which `adsum envoy` hands on to Envoy; then whatever is left of them ends at once. */
export async function endLocalhost() {
  await Promise.all(
    running.map(
      (child) =>
        new Promise((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve();
          child.once('close', resolve);
          child.kill('SIGTERM');
          setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
        }),
    ),
  );
}
