import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { acquireLock, type LockHolder } from '../../../src/runtime/lock-file.ts';

function lockFile(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'lock');
}

function readLock(file: string): LockHolder {
  return JSON.parse(readFileSync(file, 'utf8')) as LockHolder;
}

/** This process as a lock describes it. */
function self(): LockHolder {
  const file = lockFile();
  const release = acquireLock(file);
  const holder = readLock(file);
  release();
  return holder;
}

test('holds until released, and leaves nothing behind', () => {
  const file = lockFile();
  const release = acquireLock(file);
  expect(readLock(file).pid).toBe(process.pid);
  expect(() => acquireLock(file)).toThrow(`process ${process.pid} holds ${file}`);
  release();
  release();
  acquireLock(file)();
  expect(readdirSync(path.dirname(file))).toEqual([]);
});

test('another living process keeps it; once that is dead, it is taken over', async () => {
  const file = lockFile();
  const other = spawn('sleep', ['60']);
  await once(other, 'spawn');
  const stat = readFileSync(`/proc/${other.pid}/stat`, 'utf8');
  const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  writeFileSync(file, JSON.stringify({ ...self(), pid: other.pid, startedAt }));
  expect(() => acquireLock(file)).toThrow(`process ${other.pid} holds ${file}`);
  other.kill('SIGKILL');
  await once(other, 'exit');
  acquireLock(file)();
  expect(readdirSync(path.dirname(file))).toEqual([]);
});

test.each<[string, () => string]>([
  ['a process with the same number but another start', () => JSON.stringify({ ...self(), pid: 1, startedAt: '99999999999' })],
  ['our own number from before a restart of the container', () => JSON.stringify({ ...self(), startedAt: '1' })],
  ['another container', () => JSON.stringify({ ...self(), pid: 1, pidNamespace: 'pid:[1]' })],
  ['a power cut, which left it empty', () => ''],
  ['something else', () => '[]'],
])('left by %s: taken over', (_, content) => {
  const file = lockFile();
  writeFileSync(file, content());
  const release = acquireLock(file);
  expect(readLock(file).pid).toBe(process.pid);
  release();
});

test('a folder that cannot be written is the error of the system', () => {
  expect(() => acquireLock(path.join(path.dirname(lockFile()), 'missing', 'lock'))).toThrow('ENOENT');
});
