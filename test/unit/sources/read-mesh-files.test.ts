import { execFileSync } from 'node:child_process';
import { chmodSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { readMeshFiles } from '../../../src/sources/read-mesh-files.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mesh-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (...parts: string[]) => path.join(folder, ...parts);
async function bindSocket(file: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(file, listening));
  onTestFinished(() => void server.close());
}

const codes = (...paths: string[]) => readMeshFiles(paths).problems.map(({ code, place }) => [code, place?.file]);

test('a file that is missing, no text or a dangling link', () => {
  writeFileSync(at('latin.yaml'), Buffer.from([0x64, 0x3a, 0x20, 0xe4, 0xff]));
  symlinkSync('nowhere', at('link.yaml'));
  expect(codes(at('absent.yaml'))).toEqual([['unreadable-file', at('absent.yaml')]]);
  expect(codes(at('latin.yaml'))).toEqual([['unreadable-file', at('latin.yaml')]]);
  expect(codes(folder)).toEqual([
    ['unreadable-file', at('latin.yaml')],
    ['unreadable-file', at('link.yaml')],
  ]);
});

test.skipIf(process.getuid?.() === 0)('a file that may not be read', () => {
  writeFileSync(at('secret.yaml'), 'nodes: []');
  chmodSync(at('secret.yaml'), 0);
  expect(readMeshFiles([at('secret.yaml')]).problems[0]?.message).toContain('permission denied');
});

test('a folder without mesh files', () => {
  mkdirSync(at('nested.yaml'));
  writeFileSync(at('README.md'), 'no mesh');
  expect(codes(folder)).toEqual([['no-mesh-files', folder]]);
});

test('what cannot be read hides no defect of the rest, and the same file counts once', () => {
  writeFileSync(at('a.yaml'), 'datacenter: dc1\nbogus: 1');
  expect(codes(at('absent.yaml'), at('a.yaml'), folder)).toEqual([
    ['unreadable-file', at('absent.yaml')],
    ['unknown-key', at('a.yaml')],
  ]);
});

test.each([
  ['a FIFO', () => execFileSync('mkfifo', [at('bad.yaml')])],
  ['a link to a device without end', () => symlinkSync('/dev/zero', at('bad.yaml'))],
  ['a link to a terminal', () => symlinkSync('/dev/tty', at('bad.yaml'))],
  ['a socket', () => bindSocket(at('bad.yaml'))],
  ['a file that is too large', () => ftruncateSync(openSync(at('bad.yaml'), 'w'), 17 * 1024 * 1024)],
  ['a link out of the folder', () => symlinkSync('/etc/passwd', at('bad.yaml'))],
  ['a link out of it over a folder', () => [symlinkSync('/etc', at('etc')), symlinkSync('etc/passwd', at('bad.yaml'))]],
  [
    'a link to a file of a sibling whose name begins alike',
    () => [
      mkdirSync(`${folder}-2`),
      onTestFinished(() => rmSync(`${folder}-2`, { recursive: true })),
      writeFileSync(`${folder}-2/mesh.yaml`, 'nodes: []'),
      symlinkSync(`${folder}-2/mesh.yaml`, at('bad.yaml')),
    ],
  ],
])('%s is refused at once, and its neighbours are read', async (_, make) => {
  await make();
  writeFileSync(at('good.yaml'), 'nodes: []');
  const { problems, files } = readMeshFiles([folder]);
  expect(problems.map(({ code, place }) => [code, place?.file])).toEqual([['unreadable-file', at('bad.yaml')]]);
  expect(files.map(({ path: file }) => file)).toEqual([at('good.yaml')]);
});

test('a FIFO or a device that --mesh names itself is refused; a link to a file that it names is followed', () => {
  execFileSync('mkfifo', [at('fifo')]);
  mkdirSync(at('folder'));
  writeFileSync(at('folder', 'a.yaml'), 'nodes: []');
  symlinkSync('folder/a.yaml', at('link'));
  expect(codes(at('fifo'))).toEqual([['unreadable-file', at('fifo')]]);
  expect(codes('/dev/zero')).toEqual([['unreadable-file', '/dev/zero']]);
  expect(codes(at('link'))).toEqual([]);
});

test('the links of a Kubernetes volume stay in the folder', () => {
  mkdirSync(at('..2026_01_01'));
  writeFileSync(at('..2026_01_01', 'mesh.yaml'), 'datacenter: east');
  symlinkSync('..2026_01_01', at('..data'));
  symlinkSync('..data/mesh.yaml', at('mesh.yaml'));
  expect(codes(folder)).toEqual([]);
  symlinkSync(folder, `${folder}-link`);
  onTestFinished(() => rmSync(`${folder}-link`));
  expect(codes(`${folder}-link`)).toEqual([]);
});

test.each([
  ['a password file', 'root:$6$SECRET:19000:0:99999:7:::\nwww:SECRET::'],
  ['an environment', 'PATH=/bin\u0000TOKEN=SECRET\u0000'],
  ['a key', '-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----'],
  ['an alias', 'a: *SECRET'],
  ['a tag', 'a: !SECRET b'],
  ['a directive', '%SECRET x\n---\na: b'],
  ['a map of another program', 'SECRET: SECRET\nother: SECRET'],
  ['JSON of another program', '{"token": "SECRET"}'],
  ['a text', 'SECRET'],
])('%s, which is no mesh, is not quoted', (_, text) => {
  writeFileSync(at('a.yaml'), text);
  const { problems } = readMeshFiles([folder]);
  expect(problems).toHaveLength(1);
  expect(JSON.stringify(problems)).not.toContain('SECRET');
});

test('many defects are told as many, and long texts by their beginning', () => {
  const services = Array.from({ length: 3000 }, () => '{ "name": "a b" }').join(',');
  writeFileSync(at('a.json'), `{ "nodes": [{ "name": "vm", "address": "10.0.0.1", "services": [${services}] }] }`);
  const { problems } = readMeshFiles([folder]);
  expect(problems).toHaveLength(1001);
  expect(problems.at(-1)).toMatchObject({ code: 'more-defects', message: '2000 more defects of this file are not listed' });
  writeFileSync(at('a.json'), `{ "nodes": [], "${'x'.repeat(1e6)}": "${'y'.repeat(1e6)}", "default_intention_policy": "${'z'.repeat(1e6)}" }`);
  expect(JSON.stringify(readMeshFiles([folder]).problems).length).toBeLessThan(10_000);
});

test('every --mesh adds to the mesh', () => {
  mkdirSync(at('more'));
  writeFileSync(at('a.yaml'), 'datacenter: east');
  writeFileSync(at('more', 'b.json'), '{"nodes":[{"name":"vm","address":"10.0.0.1","services":[{"name":"b"}]}]}');
  const { mesh, files } = readMeshFiles([at('a.yaml'), at('more')]);
  expect(mesh).toMatchObject({ datacenter: 'east', instances: [{ id: 'b' }] });
  expect(files.map((file) => file.path)).toEqual([at('a.yaml'), at('more', 'b.json')]);
});
