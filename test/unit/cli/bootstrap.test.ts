import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CliError } from '../../../src/cli/cli-error.ts';
import { connectionsFor, openFileLimit } from '../../../src/cli/connection-limit.ts';
import { envoyArgs } from '../../../src/cli/envoy.ts';
import { findEnvoy } from '../../../src/cli/envoy-binary.ts';
import { temporaryFolder } from '../../feature/run-adsum.ts';
import { asOrdinaryUser } from '../runtime/ordinary-user.ts';
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
  expect(json.static_resources.secrets).toEqual([{ name: 'adsum_token', generic_secret: { secret: { inline_string: 'from-env' } } }]);
  const file = path.join(temporaryFolder(), 'token');
  writeFileSync(file, 'in-a-file');
  const named = await bootstrap(['-sidecar-for', 'web', '-token-file', file], env);
  expect(named.json.static_resources.secrets).toEqual([{ name: 'adsum_token', generic_secret: { secret: { filename: file } } }]);
  expect(named.stdout).not.toContain('in-a-file');
  writeFileSync(file, 'with-a-line-break\n');
  expect(await bootstrap(['-sidecar-for', 'web', '-token-file', file])).toMatchObject({ status: 1, stderr: expect.stringContaining('no line break either') });
  expect((await bootstrap(['-sidecar-for', 'web', '-token-file', file, '-token', 't'])).status).toBe(2);
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
  [[], { address: { socket_address: { address: '127.0.0.1', port_value: 19000 } } }],
  [['-admin-bind', 'localhost:1234'], { address: { socket_address: { address: '127.0.0.1', port_value: 1234 } } }],
  [['-admin-bind', 'unix:///run/a.sock'], { address: { pipe: { path: '/run/a.sock', mode: 0o600 } } }],
  [['-admin-bind', 'off'], undefined],
])("with %j Envoy's admin interface is at %j", async (flags, admin) => {
  const { json } = await bootstrap(['-sidecar-for', 'web', ...flags]);
  if (admin) expect(json.admin).toMatchObject(admin);
  else expect(json).not.toHaveProperty('admin');
});

test('an Envoy of `adsum envoy` has its admin interface on a socket in a folder for its user alone', async () => {
  const seen = path.join(folder, 'seen');
  const run = (id: string) =>
    cli(['envoy', '-proxy-id', id, ...NO_ADSUM, '-envoy-binary', fakeEnvoy('1.36.4', `cat "$2" > ${seen}`)], { env: { XDG_RUNTIME_DIR: folder } });
  const admin = () => JSON.parse(readFileSync(seen, 'utf8')).admin.address.pipe;
  expect(await run('web-sidecar-proxy')).toMatchObject({ status: 0, stderr: expect.stringContaining(`${folder}/adsum/web-sidecar-proxy.sock`) });
  expect(admin()).toEqual({ path: `${folder}/adsum/web-sidecar-proxy.sock`, mode: 0o600 });
  expect(statSync(path.join(folder, 'adsum')).mode & 0o777).toBe(0o700);
  await run('a-long-name'.repeat(20));
  expect(admin().path).toMatch(/\/adsum\/[0-9a-f]{16}\.sock$/);
  // A folder that others may enter is not used.
  chmodSync(path.join(folder, 'adsum'), 0o755);
  await run('web-sidecar-proxy');
  expect(path.dirname(admin().path)).not.toBe(path.join(folder, 'adsum'));
  rmSync(path.dirname(admin().path), { recursive: true });
});

test.each([
  ['1024', 341],
  ['20000', 6666],
  ['unlimited', 100_000],
])('with %s descriptors Envoy holds at most %i connections', (openFiles, connections) => {
  expect(connectionsFor(openFileLimit(() => `Max open files            10                   ${openFiles}                files     \n`))).toBe(connections);
});

test.each([
  [[]],
  [['-sidecar-for', 'a', '-proxy-id', 'b']],
  [['-sidecar-for', 'a', '-grpc-addr', '::1:18000']],
  [['-sidecar-for', 'a', '-grpc-addr', '10.0.0:18000']],
  [['-sidecar-for', 'a', '-grpc-addr', '10.0.0.1:70000']],
  [['-sidecar-for', 'a', '-grpc-addr', '10.0.0.1:0']],
  [['-sidecar-for', 'a', '-admin-bind', 'example.org:1']],
  [['-sidecar-for', 'a', '-admin-bind', `unix:///${'long'.repeat(30)}`]],
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
  const result = await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', binary, '--', '-l', 'debug'], { env: { XDG_RUNTIME_DIR: folder } });
  expect(result.status).toBe(7);
  const [json, args] = readFileSync(out, 'utf8').split(/(?<=\})(?=--config-path)/);
  expect(JSON.parse(json ?? '').node.id).toBe('web-sidecar-proxy');
  expect(args).toBe('--config-path /dev/fd/3 --disable-hot-restart --drain-time-s 30 --drain-strategy immediate -l debug\n');
});

test('an Envoy ended by a signal gives 128 and its number', async () => {
  const binary = fakeEnvoy('1.40.0', 'kill -TERM $$');
  expect((await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM], { env: { ENVOY_BIN: binary, XDG_RUNTIME_DIR: folder } })).status).toBe(143);
});

test('an Envoy newer than any that was tried runs, with a warning', async () => {
  const result = await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', fakeEnvoy('1.41.0')], { env: { XDG_RUNTIME_DIR: folder } });
  expect(result.status).toBe(0);
  expect(result.stderr).toContain('warning: ');
  expect(result.stderr).toContain('Envoy 1.41.0 is newer than any that adsum was tried with (1.36 to 1.40)');
});

test('what is wrong with the binary is told apart, with a code and what to do', async () => {
  const run = async (binary: string) => {
    const { status, stderr } = await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', binary]);
    expect(status).toBe(1);
    return stderr;
  };
  const file = (name: string, content: string, mode: number) => {
    writeFileSync(path.join(folder, name), content);
    chmodSync(path.join(folder, name), mode);
    return path.join(folder, name);
  };
  expect(await run(fakeEnvoy('1.32.9'))).toMatch(/^adsum: envoy-too-old: .*Envoy 1\.32\.9 is too old: adsum was tried with .*\ninstall Envoy 1\.36 or later/m);
  expect(await run('/bin/true')).toMatch(/^adsum: envoy-not-runnable: \/bin\/true is not Envoy/m);
  expect(await run(path.join(folder, 'none/envoy'))).toContain(
    `adsum: envoy-missing: --envoy-binary: ${folder}/none/envoy does not exist: there is no ${folder}/none\n`,
  );
  expect(await run(file('data', 'x', 0o644))).toMatch(
    /^adsum: envoy-not-executable: .*data is not executable \(mode 0644, owner .*\)\nif it is the right file: chmod a\+x /m,
  );
  expect(await run(folder)).toMatch(/^adsum: envoy-not-executable: .* is a folder/m);
  expect(await run(file('foreign', `\x7fELF\x02\x01${'\0'.repeat(12)}\x08\0`, 0o755))).toMatch(
    /^adsum: envoy-not-runnable: .* it is built for another processor/m,
  );
  expect(await run(file('loader', '#!/no/such/loader\n', 0o755))).toMatch(
    /^adsum: envoy-not-runnable: .* the loader or interpreter it names is not on this machine/m,
  );
  expect(await run(file('broken', '#!/bin/sh\necho no luck >&2; exit 3\n', 0o755))).toMatch(/^adsum: envoy-not-runnable: .*no luck/m);
});

test('a binary that its user cannot reach is told from one that is not there', async () => {
  const binary = path.join(folder, 'private folder', 'envoy');
  mkdirSync(path.dirname(binary));
  renameSync(fakeEnvoy('1.36.4'), binary);
  chmodSync(folder, 0o755);
  const link = path.join(folder, 'envoy-link');
  symlinkSync(binary, link);
  // The whole command would read files of the clone, which this user may not be able to enter either.
  const failureOf = (flag: string | undefined, env: Record<string, string>) =>
    findEnvoy(flag, env, new AbortController().signal).then(
      () => undefined,
      ({ code, message, hint }: CliError) => ({ code, message, hint }),
    );
  const reason = (file: string) => `cannot reach ${file}: the folder ${folder}/private folder (mode 0`;
  await asOrdinaryUser(path.dirname(binary), async () => {
    const named = await failureOf(binary, {});
    expect(named).toMatchObject({ code: 'envoy-out-of-reach', message: expect.stringContaining(reason(binary)) });
    expect(named?.message).toMatch(/^--envoy-binary: user \S+ \(uid \d+\) cannot reach /);
    expect(named?.hint).toContain(`install -D -m 755 '${binary}' /usr/local/bin/envoy`);
    expect(await failureOf(undefined, { ENVOY_BIN: link })).toMatchObject({ message: expect.stringContaining(reason(link)) });
    expect(await failureOf(undefined, { PATH: `${folder}/none:${path.dirname(binary)}` })).toMatchObject({ code: 'envoy-out-of-reach' });
  });
});

test('PATH leads to the first Envoy that can be executed', async () => {
  const first = path.join(folder, 'first');
  mkdirSync(first);
  writeFileSync(path.join(first, 'envoy'), 'not executable');
  fakeEnvoy('1.36.4', 'exit 5');
  const run = (searchPath: string) => cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM], { env: { PATH: searchPath, XDG_RUNTIME_DIR: folder } });
  expect((await run(`${first}:${folder}`)).status).toBe(5);
  expect((await run(first)).stderr).toMatch(/^adsum: envoy-not-executable: /m);
  expect((await run(path.join(folder, 'none'))).stderr).toMatch(/^adsum: envoy-missing: no envoy on PATH\ninstall Envoy/m);
  expect((await cli(['envoy', '-sidecar-for', 'web', '--', '--config-yaml=x'])).status).toBe(2);
});

test('a folder for temporary files that cannot be used is named', async () => {
  vi.stubEnv('TMPDIR', path.join(folder, 'none'));
  const { status, stderr } = await cli(['envoy', '-sidecar-for', 'web', ...NO_ADSUM, '-envoy-binary', fakeEnvoy('1.36.4')]);
  vi.unstubAllEnvs();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^adsum: bootstrap-not-written: .*none.*\nname a folder .* in TMPDIR$/m);
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
