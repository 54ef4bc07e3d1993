import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MeshFileReader } from '../../../src/sources/mesh-file-reader.ts';
import { type Touched, WatchedFolders } from '../../../src/sources/watched-folders.ts';

let folder = '';
let watched: WatchedFolders | undefined;
let touched: Touched[] = [];
const at = (...parts: string[]) => path.join(folder, ...parts);

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mesh-watch-'));
  mkdirSync(at('mesh'));
  writeFileSync(at('mesh', 'a.yaml'), 'a');
  touched = [];
});

afterEach(() => {
  watched?.close();
  rmSync(folder, { recursive: true });
});

function start(...paths: string[]): void {
  const failed = (error: unknown) => expect.fail(String(error));
  watched = new WatchedFolders({ paths, touched: (what) => touched.push(what), failed });
}

/** Everything that was told, up to the news of this file; events come in the order in which things happened. */
async function untilTold(file: string): Promise<Set<string>> {
  const names = () => touched.map((what) => (what === 'everything' ? what : what.file));
  await vi.waitFor(() => expect(names()).toContain(file), { timeout: 20_000, interval: 5 });
  return new Set(names());
}

test('what happens to names that nobody waits for wakes nobody, inside the folder and around it', async () => {
  start(at('mesh'));
  for (let i = 0; i < 20; i += 1) {
    appendFileSync(at('log'), 'a line');
    appendFileSync(at('other.yaml'), 'a line');
    appendFileSync(at('mesh', 'notes'), 'a line');
    appendFileSync(at('mesh', '.a.yaml.swp'), 'a line');
    mkdirSync(at(`folder-${i}`));
  }
  appendFileSync(at('mesh', 'b.yaml'), 'b');
  expect(await untilTold(at('mesh', 'b.yaml'))).toEqual(new Set([at('mesh', 'b.yaml')]));
});

test('around a single file only its own name counts', async () => {
  start(at('mesh', 'a.yaml'));
  appendFileSync(at('mesh', 'b.yaml'), 'b');
  appendFileSync(at('mesh', 'log'), 'a line');
  appendFileSync(at('mesh', 'a.yaml'), 'more');
  expect(await untilTold('everything')).toEqual(new Set(['everything']));
});

test('a link that is swapped, and a folder that is replaced, mean everything', async () => {
  symlinkSync(at('mesh'), at('current'));
  start(at('current'));
  mkdirSync(at('next'));
  symlinkSync(at('next'), at('current.tmp'));
  renameSync(at('current.tmp'), at('current'));
  await untilTold('everything');
  watched?.renew();
  touched = [];
  writeFileSync(at('next', 'c.yaml'), 'c');
  expect(await untilTold(at('current', 'c.yaml'))).toEqual(new Set([at('current', 'c.yaml')]));
});

test('of known files the reader looks only at those it is told of, and finds what comes and goes by itself', () => {
  const reader = new MeshFileReader();
  const texts = (only?: string[]) => reader.read([at('mesh')], only ? { only: new Set(only) } : {}).files.map(({ text }) => text);
  writeFileSync(at('mesh', 'b.yaml'), 'b');
  expect(texts()).toEqual(['a', 'b']);
  writeFileSync(at('mesh', 'a.yaml'), 'a, changed');
  writeFileSync(at('mesh', 'b.yaml'), 'b, changed');
  writeFileSync(at('mesh', 'c.yaml'), 'c');
  expect(texts([at('mesh', 'b.yaml')])).toEqual(['a', 'b, changed', 'c']);
  rmSync(at('mesh', 'c.yaml'));
  expect(texts([])).toEqual(['a', 'b, changed']);
  expect(texts()).toEqual(['a, changed', 'b, changed']);
});
