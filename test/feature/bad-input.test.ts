import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort, runAdsum, serveAdsum, temporaryFolder, until } from './run-adsum.ts';

const GOOD = `
nodes:
  - name: vm-api
    address: 10.0.0.2
    services:
      - { name: api, port: 9090, connect: { sidecar_service: { proxy: { mode: transparent } } } }
`;

function meshFile(text: string): string {
  const file = path.join(temporaryFolder(), 'mesh.yaml');
  writeFileSync(file, text);
  return file;
}

async function serveFails(mesh: string, more: readonly string[] = []): Promise<string> {
  const ports = ['--grpc', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--dns', 'off'];
  const { status, err } = await runAdsum(['serve', '--mesh', mesh, ...ports, '--data-dir', temporaryFolder(), ...more]);
  expect(status).toBe(1);
  expect(err).toMatch(/^adsum: /);
  return err;
}

describe('a mesh that cannot be served stops the start with one clear error', () => {
  test.each([
    ['an empty file', '', /empty/],
    ['broken YAML', 'nodes: [\n  - name: }', /mesh\.yaml:\d+:\d+/],
    ['an unknown key', GOOD.replace('address:', 'adress:'), /mesh\.yaml:4:5.*adress.*address/s],
    ['a wrong type', GOOD.replace('9090', 'ninety'), /mesh\.yaml:6:\d+.*port/s],
    [
      'an intention to an unknown kind of source',
      `${GOOD}config_entries: [{ kind: service-intentions, name: api, sources: [{ name: web, type: alien, action: allow }] }]`,
      /alien/,
    ],
    ['the same service twice on a node', GOOD + GOOD.slice(GOOD.indexOf('      - { name')), /api/],
    [
      'the same config entry twice',
      `${GOOD}config_entries:\n  - { kind: service-defaults, name: api, protocol: http }\n  - { kind: service-defaults, name: api, protocol: tcp }\n`,
      /mesh\.yaml:9.*service-defaults/s,
    ],
  ])('%s', async (_what, text, expected) => {
    expect(await serveFails(meshFile(text))).toMatch(expected);
  });

  test('a file that is not there', async () => {
    expect(await serveFails('/nonexistent/mesh.yaml')).toMatch(/\/nonexistent\/mesh\.yaml/);
  });
});

test('several defects are told at once, the count first', async () => {
  const err = await serveFails(meshFile(GOOD.replace('address:', 'adress:').replace('9090', 'ninety')));
  expect(err.split('\n')[0]).toMatch(/2 errors/);
  expect(err).toMatch(/adress/);
  expect(err).toMatch(/port/);
});

test('a port in use is named, with what to do', async () => {
  const port = await freePort();
  const squatter = createServer();
  await new Promise<void>((listening) => squatter.listen(port, '127.0.0.1', listening));
  onTestFinished(() => void squatter.close());
  expect(await serveFails(meshFile(GOOD), ['--grpc', `127.0.0.1:${port}`])).toMatch(new RegExp(`${port}[^]*another process`));
  expect(await serveFails(meshFile(GOOD), ['--admin', `127.0.0.1:${port}`])).toMatch(new RegExp(`${port}[^]*another process`));
  expect(await serveFails(meshFile(GOOD), ['--dns', `127.0.0.1:${port}`])).toMatch(new RegExp(`${port}[^]*another process`));
});

test('a data dir that cannot be written is named', async () => {
  // a path below a file can be made by nobody, not even by root
  const file = meshFile(GOOD);
  expect(await serveFails(file, ['--data-dir', path.join(file, 'data')])).toMatch(/data/);
});

test.each(['ca.json', 'virtual-ips.json'])('a damaged %s is an error and stays as it is', async (name) => {
  const dataDir = temporaryFolder();
  chmodSync(dataDir, 0o700);
  const file = path.join(dataDir, name);
  writeFileSync(file, '{ "broken', { mode: 0o600 });
  expect(await serveFails(meshFile(GOOD), ['--data-dir', dataDir])).toMatch(new RegExp(name.replace('.', '\\.')));
});

test('xDS off loopback without TLS is refused as wrong usage', async () => {
  const { status, err } = await runAdsum(['serve', '--mesh', meshFile(GOOD), '--grpc', '0.0.0.0:0']);
  expect(status).toBe(2);
  expect(err).toMatch(/private keys in the clear/);
});

test('two processes cannot share a data dir', async () => {
  const dataDir = temporaryFolder();
  await serveAdsum(meshFile(GOOD), { dataDir });
  expect(await serveFails(meshFile(GOOD), ['--data-dir', dataDir])).toMatch(/holds/);
});

describe('while adsum runs', () => {
  const replace = (file: string, text: string) => {
    writeFileSync(`${file}.tmp~`, text);
    renameSync(`${file}.tmp~`, file);
  };

  test('a reload with errors keeps the old mesh and says why; the mended file is served', async () => {
    const file = meshFile(GOOD);
    const adsum = await serveAdsum(file);
    const services = async () => ((await adsum.get('/v1/mesh')).body as { services: { name: string }[] }).services.map(({ name }) => name);
    expect(await services()).toContain('api');

    replace(file, GOOD.replace('address:', 'adress:'));
    await until(async () => ((await adsum.get('/readyz')).body as { mesh: string }).mesh === 'stale');
    expect((await adsum.get('/readyz')).status).toBe(200);
    expect(await services()).toContain('api');
    expect(JSON.stringify((await adsum.get('/v1/problems')).body)).toMatch(/adress/);

    replace(file, GOOD.replaceAll('api', 'shop'));
    await until(async () => ((await adsum.get('/readyz')).body as { mesh: string }).mesh === 'fresh');
    expect(await services()).toContain('shop');
    expect((await adsum.get('/v1/problems')).body).toEqual({ problems: [] });
  });

  test('a restart in the middle of a broken edit serves the mesh of the last run', async () => {
    const file = meshFile(GOOD);
    const dataDir = temporaryFolder();
    mkdirSync(dataDir, { recursive: true });
    const first = await serveAdsum(file, { dataDir });
    const before = (await first.get('/v1/mesh')).body;
    await first.stop();
    replace(file, 'nodes: [');
    const second = await serveAdsum(file, { dataDir });
    expect((await second.get('/readyz')).body).toMatchObject({ ready: true, mesh: 'stale' });
    expect((await second.get('/v1/mesh')).body).toEqual(before);
  });
});
