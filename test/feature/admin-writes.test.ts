import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runAdsum, serveAdsum, temporaryFolder } from './run-adsum.ts';

const MESH = 'nodes: [{ name: n1, address: 10.0.0.1, services: [{ name: api, port: 90, connect: { sidecar_service: {} } }] }]\n';
/** A user who is neither root nor the one adsum runs as. */
const NOBODY = 65_534;
const WRITES = [
  ['POST', '/v1/ca/rotate', {}],
  ['POST', '/v1/ca/leaf', { service: 'api' }],
] as const;

async function start(): Promise<{ admin: URL; socket: string; dataDir: string }> {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const dataDir = path.join(folder, 'data');
  const { admin } = await serveAdsum(file, { dataDir });
  return { admin: new URL(admin), socket: path.join(dataDir, 'admin.sock'), dataDir };
}

function send(options: http.RequestOptions, body?: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = http.request({ headers: { 'content-type': 'application/json' }, ...options }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject);
    call.end(body && JSON.stringify(body));
  });
}

/** What a script prints when that user runs it. */
async function asNobody(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { uid: NOBODY, gid: NOBODY, cwd: '/' });
  return stdout.trim();
}

test.each(WRITES)('%s %s is refused over TCP wherever it comes from, and done over the Unix socket', async (method, where, body) => {
  const { admin, socket } = await start();
  const tcp = { host: '127.0.0.1', port: admin.port, method, path: where };
  const sources = [
    {},
    { localAddress: '127.0.0.2' },
    // the port on which adsum itself listens: the kernel's table of connections holds adsum's own row for it too
    { localAddress: '127.0.0.2', localPort: Number(admin.port) },
    { localAddress: '127.255.255.254', localPort: Number(admin.port) },
  ];
  for (const source of sources) {
    const { status, text } = await send({ ...tcp, ...source }, body);
    expect({ status, key: text.includes('PRIVATE KEY') }).toEqual({ status: 403, key: false });
    expect(text).toContain(socket);
  }
  expect(await send({ socketPath: socket, method, path: where }, body)).toMatchObject({ status: 200 });
});

test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'])('over TCP no path takes %s', async (method) => {
  const { admin } = await start();
  for (const where of ['/v1/ca/rotate', '/v1/ca/leaf', '/v1/proxies', '/healthz', '/nowhere', '//v1/ca/rotate', '/v1/ca/rotate?x=1']) {
    expect((await send({ host: '127.0.0.1', port: admin.port, method, path: where })).status).toBe(403);
  }
});

test('only the owner can open the socket, and the folder around it', async () => {
  const { socket, dataDir } = await start();
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(statSync(socket).mode & 0o777).toBe(0o600);
});

test.skipIf(process.getuid?.() !== 0)('another user of the host gets neither the socket nor a key over TCP (only root can try)', async () => {
  const { admin, socket, dataDir } = await start();
  for (let folder = path.dirname(dataDir); folder !== '/tmp' && folder !== '/'; folder = path.dirname(folder)) chmodSync(folder, 0o755);
  const overSocket = `require('net').connect(${JSON.stringify(socket)}).on('error', (e) => console.log(e.code)).on('connect', () => { console.log('open'); process.exit(); })`;
  expect(await asNobody(overSocket)).toBe('EACCES');
  // should the folder be opened by accident, the socket itself still refuses
  chmodSync(dataDir, 0o755);
  expect(await asNobody(overSocket)).toBe('EACCES');
  const overTcp = `const r = require('http').request({ host: '127.0.0.1', port: ${admin.port}, localAddress: '127.0.0.2', localPort: ${admin.port}, method: 'POST', path: '/v1/ca/rotate' }, (a) => { console.log(a.statusCode); process.exit(); }); r.end()`;
  expect(await asNobody(overTcp)).toBe('403');
});

test('the commands find the socket: named, through HTTP on this host, or in the default data dir', async () => {
  const { admin, socket } = await start();
  const issue = (args: readonly string[], env: Record<string, string> = {}) =>
    runAdsum(['ca', 'issue', '--service', 'api', '--out', path.join(temporaryFolder(), 'leaf'), ...args], env);
  const done = { status: 0, out: expect.stringContaining('/svc/api until') };
  expect(await issue(['--admin-addr', `unix://${socket}`])).toMatchObject(done);
  expect(await issue(['--admin-addr', admin.href])).toMatchObject(done);
  expect(await issue([], { ADSUM_ADDR: `unix://${socket}` })).toMatchObject(done);
  expect(await issue([], { ADSUM_ADDR: admin.host })).toMatchObject(done);
  expect((await runAdsum(['proxies', '--admin-addr', `unix://${socket}`])).out).toContain('api-sidecar-proxy');
  expect(await issue(['--admin-addr', 'http://192.0.2.1:18001'])).toMatchObject({ status: 1, err: expect.stringContaining('from its own host only') });
  expect(await issue(['--admin-addr', 'unix:///nowhere/admin.sock'])).toMatchObject({ status: 1, err: expect.stringContaining('no such socket') });
});

test('a socket that a killed process left behind is replaced', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const dataDir = path.join(folder, 'data');
  const socket = path.join(dataDir, 'admin.sock');
  mkdirSync(dataDir);
  writeFileSync(socket, '');
  await serveAdsum(file, { dataDir });
  expect(await send({ socketPath: socket, path: '/healthz' })).toMatchObject({ status: 200 });
});

test('a data dir whose path is too long for a socket stops the start with the reason', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const { status, err } = await runAdsum([
    'serve',
    '--mesh',
    file,
    '--data-dir',
    path.join(folder, 'd'.repeat(120)),
    '--dns',
    'off',
    '--grpc',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
  ]);
  expect(status).toBe(1);
  expect(err).toContain('is longer than the 107 bytes that a Unix socket may have\nname a shorter --data-dir\n');
});
