import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { assertNotHeld, LockHeldError, lockFolder } from '../../../src/runtime/folder-lock.ts';

const HOLDER = fileURLToPath(new URL('lock-holder.mjs', import.meta.url));
const isRoot = process.getuid?.() === 0;

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'adsum-test-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Another process that tries to take the folder. @returns what became of it: `held`, or the name of the error */
async function rival(where: string, through: readonly string[] = []): Promise<{ child: ChildProcess; outcome: string }> {
  const [command = '', ...args] = [...through, process.execPath, HOLDER, where];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, outcome: chunk.toString().trim() };
}

test('holds until released, and leaves nothing behind', async () => {
  const where = folder();
  const release = await lockFolder(where);
  await expect(lockFolder(where)).rejects.toThrow(LockHeldError);
  await expect(lockFolder(where)).rejects.toThrow(`process ${process.pid} on`);
  release();
  release();
  (await lockFolder(where))();
  expect(readdirSync(where)).toEqual([]);
});

test('another process keeps it, through every name of the folder, and with its death it is free at once', async () => {
  const where = folder();
  const { child, outcome } = await rival(where);
  expect(outcome).toBe('held');
  symlinkSync(where, `${where}-link`);
  onTestFinished(() => rmSync(`${where}-link`));
  for (const name of [where, `${where}-link`, path.relative(process.cwd(), where)]) await expect(lockFolder(name)).rejects.toThrow(LockHeldError);
  child.kill('SIGKILL');
  await once(child, 'exit');
  (await lockFolder(where))();
  expect(readdirSync(where)).toEqual([]);
});

test('a stopped process, which answers nobody, still holds it', async () => {
  const where = folder();
  const { child } = await rival(where);
  child.kill('SIGSTOP');
  await expect(lockFolder(where)).rejects.toThrow(LockHeldError);
  await expect(assertNotHeld(where)).rejects.toThrow(LockHeldError);
});

test('a killed process that nobody has reaped holds nothing', async () => {
  const where = folder();
  // The shell starts the holder and never waits for it: once killed it stays a zombie.
  const shell = spawn('sh', ['-c', `"$0" "$1" "$2" & echo $!; exec sleep 600`, process.execPath, HOLDER, where], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void shell.kill('SIGKILL'));
  let said = '';
  while (!said.includes('held')) said += String((await once(shell.stdout as NodeJS.ReadableStream, 'data'))[0]);
  const pid = Number(said.split('\n').find((line) => /^\d+$/.test(line)));
  await expect(lockFolder(where)).rejects.toThrow(LockHeldError);
  process.kill(pid, 'SIGKILL');
  while (!/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await new Promise((again) => setTimeout(again, 5));
  (await lockFolder(where))();
});

test.skipIf(!isRoot)('a process in another PID namespace holds it, and finds it held', async () => {
  const where = folder();
  const container = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--net'];
  const { outcome } = await rival(where, container);
  expect(outcome).toBe('held');
  await expect(lockFolder(where)).rejects.toThrow(LockHeldError);
  const other = folder();
  const release = await lockFolder(other);
  expect((await rival(other, container)).outcome).toBe('LockHeldError');
  release();
});

test('of many that start at once never two hold it', async () => {
  const where = folder();
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => rival(where)));
  expect(outcomes.filter(({ outcome }) => outcome === 'held').length).toBeLessThanOrEqual(1);
});

test('in a folder whose path is longer than that of a socket may be', async () => {
  const where = path.join(folder(), 'x'.repeat(120), 'y'.repeat(120));
  mkdirSync(where, { recursive: true });
  const release = await lockFolder(where);
  await expect(lockFolder(where)).rejects.toThrow(LockHeldError);
  release();
});

test('what looks like a lock and is none does not block: a file, a dead socket, one of an earlier start of the machine', async () => {
  const where = folder();
  writeFileSync(path.join(where, 'lock-host-1-abcdef01-00000000.sock'), '');
  const server = createServer();
  await new Promise<void>((listening) => server.listen(path.join(where, 'other'), listening));
  rmSync(path.join(where, 'other'));
  await new Promise((closed) => server.close(closed));
  (await lockFolder(where))();
  expect(readdirSync(where)).toEqual([]);
});

test('a folder that is not there is the error of the system', async () => {
  await expect(lockFolder(path.join(folder(), 'missing'))).rejects.toThrow('ENOENT');
});
