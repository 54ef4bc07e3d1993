import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Who holds a lock. The start time tells a process from a later one with the same number. */
export interface LockHolder {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process; `''` where `/proc` does not tell. */
  readonly startedAt: string;
  /** Process IDs mean something only within one PID namespace (one container). */
  readonly pidNamespace: string;
}

/** Another living process holds the lock. */
export class LockHeldError extends Error {
  readonly file: string;
  readonly holder: LockHolder;

  constructor(file: string, holder: LockHolder) {
    super(`process ${holder.pid} holds ${file}: stop that process, or use another folder`);
    this.name = 'LockHeldError';
    this.file = file;
    this.holder = holder;
  }
}

const heldHere = new Set<string>();

/**
 * Takes a lock that other processes on this machine respect, or throws `LockHeldError`. A lock left behind by a process
 * that died (kill -9, power cut) is taken over. A holder in another container cannot be checked and counts as dead, because
 * a restarted container always finds such a lock; do not give two running containers one folder.
 * @param file created with the holder as JSON; its folder must exist
 * @returns releases the lock; calling it again does nothing
 */
export function acquireLock(file: string): () => void {
  const self = describeProcess(process.pid);
  if (heldHere.has(file)) throw new LockHeldError(file, self);
  const prepared = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  writeFileSync(prepared, `${JSON.stringify(self)}\n`, { mode: 0o600 });
  try {
    // Every turn either gets the lock, finds a living holder, or removes one dead lock.
    while (!tryLink(prepared, file)) removeIfDead(file, self);
  } finally {
    rmSync(prepared, { force: true });
  }
  heldHere.add(file);
  return () => {
    if (heldHere.delete(file)) rmSync(file, { force: true });
  };
}

/** A link appears with its whole content or not at all, and fails where the name exists. */
function tryLink(prepared: string, file: string): boolean {
  try {
    linkSync(prepared, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function removeIfDead(file: string, self: LockHolder): void {
  const holder = readHolder(file);
  if (holder && isAlive(holder, self)) throw new LockHeldError(file, holder);
  // Moved aside first: should another process have taken the lock over meanwhile, it gets it back.
  const aside = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.old`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = readHolder(aside);
  if (moved && isAlive(moved, self)) tryLink(aside, file);
  rmSync(aside, { force: true });
}

/** `undefined` when the file is gone or says nothing usable, e.g. after a power cut. */
function readHolder(file: string): LockHolder | undefined {
  try {
    const { pid, startedAt, pidNamespace } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    return Number.isInteger(pid) ? { pid: Number(pid), startedAt: String(startedAt), pidNamespace: String(pidNamespace) } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(holder: LockHolder, self: LockHolder): boolean {
  if (holder.pidNamespace !== self.pidNamespace) return false;
  // Our own number and start time, yet not in `heldHere` for this path: another name of the folder. It is held.
  if (holder.pid === self.pid) return holder.startedAt === self.startedAt;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return describeProcess(holder.pid).startedAt === holder.startedAt;
}

function describeProcess(pid: number): LockHolder {
  return { pid, startedAt: startTicks(pid), pidNamespace: pidNamespace() };
}

function startTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name in parentheses may hold anything; field 22 of the whole is field 20 behind it. Source: proc(5).
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
