import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runAdsum, serveAdsum, temporaryFolder, until } from './run-adsum.ts';

/** The disk under the data dir: full, read-only, somebody else's. */

const isRoot = process.getuid?.() === 0;

/** A file system of its own with little room. */
function smallDisk(): string {
  const at = temporaryFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', at]);
  onTestFinished(() => void execFileSync('umount', ['-l', at]));
  return at;
}

function meshOf(count: number): string {
  const services = Array.from({ length: count }, (_, index) => ({ name: `s${index}`, port: 80 + index, connect: { sidecar_service: {} } }));
  return JSON.stringify({ nodes: [{ name: 'vm', address: '10.0.0.1', services }] });
}

function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

interface State {
  readonly roots: string;
  readonly addresses: unknown;
}

async function stateOf({ get }: Awaited<ReturnType<typeof serveAdsum>>): Promise<State> {
  const { services } = (await get('/v1/mesh')).body as { services: { name: string; virtual_ips: string[] }[] };
  const { roots } = (await get('/v1/ca/roots')).body as { roots: { id: string }[] };
  return { roots: JSON.stringify(roots.map(({ id }) => id)), addresses: services.map(({ name, virtual_ips: ips }) => [name, ips]) };
}

const codesOf = async ({ get }: Awaited<ReturnType<typeof serveAdsum>>) =>
  ((await get('/v1/problems')).body as { problems: { code: string }[] }).problems.map(({ code }) => code);

test.skipIf(!isRoot).each(['full', 'read-only'])('a %s disk at the start: what was served is served, nothing new is, and a problem says so', async (kind) => {
  const disk = smallDisk();
  const dataDir = path.join(disk, 'data');
  const mesh = path.join(temporaryFolder(), 'mesh.json');
  writeFileSync(mesh, meshOf(3));
  const first = await serveAdsum(mesh, { dataDir });
  const before = await stateOf(first);
  await first.stop();
  const files = () =>
    readdirSync(dataDir)
      .filter((name) => name.endsWith('.json'))
      .map((name) => readFileSync(path.join(dataDir, name), 'utf8'));
  const kept = files();

  if (kind === 'full') fill(disk);
  else execFileSync('mount', ['-o', 'remount,ro', disk]);
  // A new service would need an address that cannot be kept.
  replace(mesh, meshOf(4));
  const second = await serveAdsum(mesh, { dataDir });
  expect(await stateOf(second)).toEqual(before);
  expect(await codesOf(second)).toEqual(expect.arrayContaining(['data-dir-not-writable', 'state-not-writable']));
  expect((await second.get('/readyz')).body).toMatchObject({ mesh: 'stale' });
  expect(files()).toEqual(kept);
  await second.stop();

  if (kind === 'full') rmSync(path.join(disk, 'fill'));
  else execFileSync('mount', ['-o', 'remount,rw', disk]);
  const third = await serveAdsum(mesh, { dataDir });
  expect(await stateOf(third)).toMatchObject({ roots: before.roots, addresses: expect.arrayContaining(before.addresses as unknown[]) });
  expect(await codesOf(third)).toEqual([]);
});

test.skipIf(!isRoot)('with a full disk and no state there is nothing to serve', async () => {
  const disk = smallDisk();
  const dataDir = path.join(disk, 'data');
  mkdirSync(dataDir);
  fill(disk);
  const mesh = path.join(temporaryFolder(), 'mesh.json');
  writeFileSync(mesh, meshOf(1));
  const { status, err } = await runAdsum(['--log-level=silent', 'serve', '--mesh', mesh, '--dns', 'off', '--data-dir', dataDir]);
  expect({ status, err }).toMatchObject({ status: 1, err: expect.stringContaining('ENOSPC') });
});

function fill(disk: string): void {
  // Down to the last byte: what is written in larger pieces leaves a rest.
  for (const size of [64 * 1024, 4096, 1]) {
    try {
      for (;;) writeFileSync(path.join(disk, 'fill'), Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
}

test('a second adsum on the same data dir is refused; what killed writers left behind is removed', async () => {
  const dataDir = temporaryFolder();
  const mesh = path.join(temporaryFolder(), 'mesh.json');
  writeFileSync(mesh, meshOf(1));
  mkdirSync(path.join(dataDir, 'leaves'));
  for (const name of ['ca.json.1.0123abcd.tmp', 'leaves/web.json.77.deadbeef.tmp']) writeFileSync(path.join(dataDir, name), '-----BEGIN PRIVATE KEY-----');
  writeFileSync(path.join(dataDir, 'notes.tmp'), 'mine');
  const first = await serveAdsum(mesh, { dataDir });
  await until(() => !readdirSync(dataDir).some((name) => name.endsWith('abcd.tmp')));
  expect(readdirSync(path.join(dataDir, 'leaves')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(readdirSync(dataDir)).toContain('notes.tmp');
  const { status, err } = await runAdsum(['--log-level=silent', 'serve', '--mesh', mesh, '--dns', 'off', '--grpc', '127.0.0.1:0', '--data-dir', dataDir]);
  expect({ status, err }).toMatchObject({ status: 1, err: expect.stringContaining('another adsum') });
  await first.stop();
  expect(readdirSync(dataDir).filter((name) => name.startsWith('lock'))).toEqual([]);
});
