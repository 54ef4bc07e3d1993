import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/runtime/logger.ts';
import type { MeshFilesResult } from '../../../src/sources/read-mesh-files.ts';
import { watchMeshFiles } from '../../../src/sources/watch-mesh-files.ts';

let folder = '';
let watching = new AbortController();
let results: MeshFilesResult[] = [];
let wake: () => void = () => {};

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mesh-files-'));
  watching = new AbortController();
  results = [];
});

afterEach(() => {
  watching.abort();
  rmSync(folder, { recursive: true, force: true });
});

const at = (...parts: string[]) => path.join(folder, ...parts);
const meshOf = (service: string) => `nodes: [{ name: vm-${service}, address: 10.0.0.1, services: [{ name: ${service}, port: 80 }] }]`;
const servicesOf = (result: MeshFilesResult) => result.mesh?.instances.map(({ service }) => service).sort();

function replace(file: string, text: string): void {
  writeFileSync(`${file}.tmp~`, text);
  renameSync(`${file}.tmp~`, file);
}

async function start(...paths: string[]): Promise<void> {
  await watchMeshFiles({
    paths,
    signal: watching.signal,
    logger: silentLogger,
    onChange: (result) => {
      results.push(result);
      wake();
    },
  });
}

async function untilServed(services: string[] | undefined): Promise<void> {
  while (JSON.stringify(results.at(-1) && servicesOf(results.at(-1) as MeshFilesResult)) !== JSON.stringify(services) || results.length === 0) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

describe('a single file', () => {
  test('is read at first, and again when replaced, written in place, deleted and made again', async () => {
    replace(at('mesh.yaml'), meshOf('a'));
    await start(at('mesh.yaml'));
    expect(results.map(servicesOf)).toEqual([['a']]);
    replace(at('mesh.yaml'), meshOf('b'));
    await untilServed(['b']);
    writeFileSync(at('mesh.yaml'), meshOf('c'));
    await untilServed(['c']);
    unlinkSync(at('mesh.yaml'));
    await untilServed(undefined);
    expect(results.at(-1)?.problems.map(({ code }) => code)).toEqual(['unreadable-file']);
    replace(at('mesh.yaml'), meshOf('d'));
    await untilServed(['d']);
  });

  test('the same text again is no change, nor is a neighbour', async () => {
    replace(at('mesh.yaml'), meshOf('a'));
    await start(at('mesh.yaml'));
    replace(at('mesh.yaml'), meshOf('a'));
    replace(at('other.yaml'), meshOf('x'));
    await new Promise((resolve) => setTimeout(resolve, 60));
    replace(at('mesh.yaml'), meshOf('b'));
    await untilServed(['b']);
    expect(results.map(servicesOf)).toEqual([['a'], ['b']]);
  });
});

describe('a folder', () => {
  test('is the union of its files, as they come and go; dotfiles and temporary files are no part of it', async () => {
    replace(at('a.yaml'), meshOf('a'));
    await start(folder);
    writeFileSync(at('.hidden.yaml'), 'nonsense: [');
    writeFileSync(at('b.yaml.tmp~'), 'nonsense: [');
    replace(at('b.json'), JSON.stringify({ nodes: [{ name: 'vm-b', address: '10.0.0.2', services: [{ name: 'b' }] }] }));
    await untilServed(['a', 'b']);
    unlinkSync(at('a.yaml'));
    await untilServed(['b']);
  });

  test('may be replaced as a whole', async () => {
    mkdirSync(at('mesh'));
    replace(at('mesh', 'a.yaml'), meshOf('a'));
    await start(at('mesh'));
    mkdirSync(at('next'));
    replace(at('next', 'b.yaml'), meshOf('b'));
    renameSync(at('mesh'), at('old'));
    renameSync(at('next'), at('mesh'));
    await untilServed(['b']);
    replace(at('mesh', 'b.yaml'), meshOf('c'));
    await untilServed(['c']);
  });

  test('may be a Kubernetes volume, whose files are links through a link that is swapped', async () => {
    for (const [version, service] of [
      ['..1', 'a'],
      ['..2', 'b'],
    ] as const) {
      mkdirSync(at(version));
      replace(at(version, 'mesh.yaml'), meshOf(service));
    }
    symlinkSync('..1', at('..data'));
    symlinkSync('..data/mesh.yaml', at('mesh.yaml'));
    await start(folder);
    expect(results.map(servicesOf)).toEqual([['a']]);
    symlinkSync('..2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    await untilServed(['b']);
  });
});

test('what was read before is not told again', async () => {
  replace(at('mesh.yaml'), meshOf('a'));
  await watchMeshFiles({
    paths: [at('mesh.yaml')],
    known: [{ path: at('mesh.yaml'), text: meshOf('a') }],
    signal: watching.signal,
    logger: silentLogger,
    onChange: (result) => {
      results.push(result);
      wake();
    },
  });
  expect(results).toEqual([]);
  replace(at('mesh.yaml'), meshOf('b'));
  await untilServed(['b']);
});
