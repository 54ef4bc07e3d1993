import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { envoyArgs } from '../../../src/cli/envoy.ts';
import { cli } from './run-cli.ts';

/** Nothing listens on port 1, so nothing is looked up. */
const NO_ADSUM = ['-admin-addr', '127.0.0.1:1'];

async function bootstrap(args: string[], env: Record<string, string> = {}) {
  const result = await cli(['bootstrap', ...args], { env: { ADSUM_ADDR: 'http://127.0.0.1:9', ...env } });
  return { ...result, json: result.status === 0 ? JSON.parse(result.stdout) : undefined };
}

test('a sidecar is named after its service, without adsum running', async () => {
  const { json } = await bootstrap(['-sidecar-for', 'web', '--ipv6', 'off']);
  expect(json.node).toEqual({ id: 'web-sidecar-proxy', cluster: 'web', metadata: { namespace: 'default', partition: 'default', ipv6: false } });
});

test("flags win over the environment, which is Consul's", async () => {
  const env = { CONNECT_SIDECAR_FOR: 'api', CONNECT_PROXY_ID: 'x', CONSUL_HTTP_TOKEN: 'from-env' };
  expect((await bootstrap(['-sidecar-for', 'web', '-token', 'mine'], env)).stdout).toContain('"web-sidecar-proxy"');
  const { json } = await bootstrap([], env);
  expect(json.node.id).toBe('x');
  expect(json.dynamic_resources.ads_config.grpc_services[0].initial_metadata).toEqual([{ key: 'x-consul-token', value: 'from-env' }]);
});

test('service and datacenter are asked of adsum when it answers', async () => {
  const server = createServer((request, response) => {
    const known = request.url === '/v1/proxies/web-1-sidecar-proxy?node=vm-a';
    response.writeHead(known ? 200 : 404).end(JSON.stringify(known ? { id: 'web-1-sidecar-proxy', service: 'web', datacenter: 'dc7' } : { error: 'no' }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const ask = ['-admin-addr', `127.0.0.1:${(server.address() as AddressInfo).port}`];
  const known = await bootstrap(['-sidecar-for', 'web-1', '-node-name', 'vm-a', ...ask]);
  expect(known.json.node.cluster).toBe('web');
  expect(known.stdout).toContain('"fixed_value": "dc7"');
  const unknown = await bootstrap(['-sidecar-for', 'other-1', ...ask]);
  expect(unknown).toMatchObject({ status: 0, stderr: '' });
  expect(unknown.json.node.cluster).toBe('other-1');
  server.close();
});

test('a token in clear text and a public admin interface are warned of', async () => {
  const { stderr, status } = await bootstrap(['-sidecar-for', 'web', '-token', 't', '-grpc-addr', '10.0.0.1:18000', '-admin-bind', '0.0.0.0:19000']);
  expect(status).toBe(0);
  expect(stderr).toContain('in clear text');
  expect(stderr).toContain('admin interface');
});

test.each([
  [[]],
  [['-sidecar-for', 'a', '-proxy-id', 'b']],
  [['-sidecar-for', 'a', '-grpc-addr', '::1:18000']],
  [['-sidecar-for', 'a', '-grpc-addr', '10.0.0:18000']],
  [['-sidecar-for', 'a', '-grpc-addr', '10.0.0.1:70000']],
  [['-sidecar-for', 'a', '-grpc-addr', '10.0.0.1:0']],
  [['-sidecar-for', 'a', '-admin-bind', 'example.org:1']],
  [['-sidecar-for', 'a', '-max-downstream-connections', '0']],
])('%j is wrong usage and prints nothing on stdout', async (args) => {
  expect(await bootstrap(args)).toMatchObject({ status: 2, stdout: '' });
});

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'adsum-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program that passes for Envoy of a version, and otherwise runs `body`. */
function fakeEnvoy(version: string, body = ''): string {
  const file = path.join(folder, 'envoy');
  writeFileSync(file, `#!/bin/sh\nif [ "$1" = --version ]; then echo "envoy  version: abc/${version}/Clean/RELEASE/BoringSSL"; exit 0; fi\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

test('envoy gets the bootstrap on a descriptor, and what follows -- ; its status is ours', async () => {
  const out = path.join(folder, 'seen');
  const binary = fakeEnvoy('1.36.4', `cat "$2" > ${out}; echo "$@" >> ${out}; exit 7`);
  const result = await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', binary, '--', '-l', 'debug']);
  expect(result.status).toBe(7);
  const [json, args] = readFileSync(out, 'utf8').split(/(?<=\})(?=--config-path)/);
  expect(JSON.parse(json ?? '').node.id).toBe('web-sidecar-proxy');
  expect(args).toBe('--config-path /dev/fd/3 --disable-hot-restart --drain-time-s 30 --drain-strategy immediate -l debug\n');
});

test('an Envoy ended by a signal gives 128 and its number', async () => {
  const binary = fakeEnvoy('1.40.0', 'kill -TERM $$');
  expect((await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM], { env: { ENVOY_BIN: binary } })).status).toBe(143);
});

test('an old Envoy, none, and something else are told apart', async () => {
  const run = (binary: string) => cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', binary]);
  expect(await run(fakeEnvoy('1.35.9'))).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('Envoy 1.35.9 is too old: adsum was tried with 1.36 to 1.40'),
  });
  expect((await run('/bin/true')).stderr).toContain('is not Envoy');
  expect((await run(path.join(folder, 'none'))).stderr).toContain('is not an executable file');
  expect((await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM], { env: { PATH: path.join(folder, 'none') } })).stderr).toContain('no envoy on PATH');
  expect((await cli(['envoy', '-sidecar-for', 'web', '--', '--config-yaml=x'])).status).toBe(2);
});

test('an Envoy newer than any that was tried runs, with a warning', async () => {
  const result = await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', fakeEnvoy('1.41.0')]);
  expect(result.status).toBe(0);
  expect(result.stderr).toContain('warning: ');
  expect(result.stderr).toContain('Envoy 1.41.0 is newer than any that adsum was tried with (1.36 to 1.40)');
});

test('what the user says of draining and hot restart is left alone', () => {
  expect(envoyArgs(['--drain-time-s=5', '--drain-strategy', 'gradual', '--base-id', '3'])).toEqual([
    '--config-path',
    '/dev/fd/3',
    '--drain-time-s=5',
    '--drain-strategy',
    'gradual',
    '--base-id',
    '3',
  ]);
});
