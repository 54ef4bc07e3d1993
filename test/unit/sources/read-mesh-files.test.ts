import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMeshFiles } from '../../../src/sources/read-mesh-files.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mesh-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (...parts: string[]) => path.join(folder, ...parts);
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
  writeFileSync(at('a.yaml'), 'bogus: 1');
  expect(codes(at('absent.yaml'), at('a.yaml'), folder)).toEqual([
    ['unreadable-file', at('absent.yaml')],
    ['unknown-key', at('a.yaml')],
  ]);
});

test('every --mesh adds to the mesh', () => {
  mkdirSync(at('more'));
  writeFileSync(at('a.yaml'), 'datacenter: east');
  writeFileSync(at('more', 'b.json'), '{"nodes":[{"name":"vm","address":"10.0.0.1","services":[{"name":"b"}]}]}');
  const { mesh, files } = readMeshFiles([at('a.yaml'), at('more')]);
  expect(mesh).toMatchObject({ datacenter: 'east', instances: [{ id: 'b' }] });
  expect(files.map((file) => file.path)).toEqual([at('a.yaml'), at('more', 'b.json')]);
});
