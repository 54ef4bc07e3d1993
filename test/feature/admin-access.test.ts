import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createServerCertificate } from './certificates.ts';
import { freePort, runAdsum, serveAdsum, temporaryFolder } from './run-adsum.ts';

const MESH = `
nodes:
  - name: n1
    address: 10.0.0.1
    services:
      - { name: api, port: 90, connect: { sidecar_service: {} } }
      - { name: web, port: 80, connect: { sidecar_service: {} } }
`;

function ask(url: string, options: https.RequestOptions = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? https.get : http.get;
    const call = send(url, options, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject);
  });
}

async function start(options: { args?: readonly string[]; adminHost?: string } = {}) {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const dataDir = path.join(folder, 'data');
  const adsum = await serveAdsum(file, { dataDir, ...options });
  const token = async (...flags: string[]) =>
    (await runAdsum(['token', 'create', ...flags, '--admin-addr', `unix://${path.join(dataDir, 'admin.sock')}`])).out.trim();
  return { ...adsum, token };
}

const READS = ['/v1/proxies', '/v1/proxies/api-sidecar-proxy/config', '/v1/mesh', '/metrics', '/readyz'];

test.each<[string, http.OutgoingHttpHeaders]>([
  ['a name that points here (DNS rebinding)', { host: 'evil.example' }],
  ['such a name with the port', { host: 'evil.example:18001' }],
  ['a name that looks like ours', { host: 'localhost.evil.example' }],
  ['an address in a name', { host: '127.0.0.1.evil.example' }],
  ['two hosts', { host: 'localhost, evil.example' }],
  ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
  ['a page of the same site', { 'sec-fetch-site': 'same-site' }],
  ['a page of another origin', { origin: 'https://evil.example' }],
  ['a page without an origin', { origin: 'null' }],
  ['a page on another port of this host', { origin: 'http://127.0.0.1:1' }],
])('a browser is refused that asks for %s', async (_what, headers) => {
  const { admin } = await start();
  for (const where of READS) expect({ where, ...(await ask(`${admin}${where}`, { headers })) }).toMatchObject({ where, status: 403 });
});

test('tools, and pages of the port itself, read', async () => {
  const { admin } = await start();
  const { host, port } = new URL(admin);
  const allowed: http.OutgoingHttpHeaders[] = [
    {},
    { host: `localhost:${port}` },
    { host: 'LOCALHOST' },
    { host: `[::1]:${port}` },
    { host: '10.1.2.3' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-origin', origin: `http://${host}` },
  ];
  for (const headers of allowed) expect(await ask(`${admin}/v1/mesh`, { headers })).toMatchObject({ status: 200 });
});

test('off loopback the port needs TLS, and speaks it', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const { status, err } = await runAdsum([
    'serve',
    '--mesh',
    file,
    '--data-dir',
    path.join(folder, 'd'),
    '--grpc',
    '127.0.0.1:0',
    '--admin',
    '0.0.0.0:0',
    '--dns',
    'off',
  ]);
  expect({ status, err }).toMatchObject({ status: 2, err: expect.stringContaining('is off loopback and would take tokens in the clear') });
});

/** An address of this machine that is not loopback. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one && !one.internal && one.family === 'IPv4')?.address;

test.skipIf(address === undefined)('from another address nothing is read without a token (needs a network interface)', async () => {
  const { admin, token } = await start({ adminHost: '0.0.0.0', args: ['--insecure-plaintext'] });
  const far = `http://${address}:${new URL(admin).port}`;
  const operator = await token('--operator');
  const api = await token('--service', 'api');
  const status = async (where: string, shown?: string) =>
    (await ask(`${far}${where}`, shown === undefined ? {} : { headers: { authorization: `Bearer ${shown}` } })).status;
  for (const where of [
    '/v1/proxies',
    '/v1/mesh',
    '/v1/problems',
    '/v1/ca/roots',
    '/v1/admin',
    '/metrics',
    '/v1/proxies/api-sidecar-proxy',
    '/v1/intentions/check?source=a&destination=b',
  ]) {
    expect({ where, none: await status(where), wrong: await status(where, 'adsum_x'), operator: await status(where, operator) }).toEqual({
      where,
      none: 403,
      wrong: 403,
      operator: 200,
    });
  }
  expect(await status('/v1/proxies/api-sidecar-proxy', api)).toBe(200);
  expect(await status('/v1/proxies/web-sidecar-proxy', api)).toBe(403);
  expect(await status('/v1/proxies/nobody', api)).toBe(403);
  expect(await status('/v1/mesh', api)).toBe(403);
  expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 200]);
  // a token of an operator is no sidecar's
  expect((await runAdsum(['proxies', '--admin-addr', far], { CONSUL_HTTP_TOKEN: operator })).out).toContain('api-sidecar-proxy');
  expect((await runAdsum(['proxies', '--admin-addr', far])).err).toContain('none was sent');
});

test.skipIf(address === undefined)('HTTPS with the certificate of the xDS port (needs a network interface)', async () => {
  const port = await freePort();
  const tls = await createServerCertificate(temporaryFolder(), 'localhost');
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const stopping = serveOverTls(file, folder, port, tls);
  const ca = readFileSync(tls.ca);
  await expect
    .poll(async () => (await ask(`https://localhost:${port}/readyz`, { ca, family: 4 }).catch(() => ({ status: 0 }))).status, { timeout: 15_000 })
    .toBe(200);
  expect(await ask(`https://${address}:${port}/v1/mesh`, { ca, servername: 'localhost' })).toMatchObject({ status: 403 });
  await expect(ask(`http://127.0.0.1:${port}/readyz`)).rejects.toThrow();
  const { out } = await runAdsum(['proxies', '--admin-addr', `https://127.0.0.1:${port}`], { ADSUM_CACERT: tls.ca });
  expect(out).toContain('api-sidecar-proxy');
  await stopping();
});

/** @returns ends it */
function serveOverTls(file: string, folder: string, port: number, tls: { cert: string; key: string }): () => Promise<void> {
  const stop = new AbortController();
  const listen = ['--grpc', '127.0.0.1:0', '--admin', `0.0.0.0:${port}`, '--dns', 'off', '--tls-cert', tls.cert, '--tls-key', tls.key];
  const ended = runAdsum(['--log-level=silent', 'serve', '--mesh', file, '--data-dir', path.join(folder, 'data'), ...listen], {}, stop.signal);
  return async () => {
    stop.abort();
    await ended;
  };
}
