import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface WriteOptions {
  /** Permission bits, default 0600. */
  readonly mode?: number;
  /** Whether the content is on the disk when the call returns; default true. Without it a power cut may lose the file, not tear it. */
  readonly flush?: boolean;
}

/**
 * Replaces a file so that a crash at any moment leaves the old content or the new, never a part: written beside it,
 * flushed to the disk, renamed into place, and the folder flushed too. When this returns the content is safe.
 */
export function writeDurably(file: string, content: string | Uint8Array, { mode = 0o600, flush = true }: WriteOptions = {}): void {
  if (isFrozen(file)) throw Object.assign(new Error('nothing is written: the folder was not writable at the start'), { code: 'EROFS' });
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const handle = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(handle, content);
      if (flush) fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (flush) flushFolder(path.dirname(file));
}

function flushFolder(name: string): void {
  const folder = openSync(name, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const TEMPORARY = /\.\d+\.[0-9a-f]{8}\.tmp$/;

/** Removes what writers left behind that were killed while they wrote. The folder must be held: see `lockFolder`. */
export function removeTemporaryFiles(folder: string): void {
  for (const name of readdirSync(folder)) if (TEMPORARY.test(name)) rmSync(path.join(folder, name), { force: true });
}

const frozen = new Set<string>();

/**
 * Keeps everybody in this process from writing to a folder and those in it, because another process may hold it.
 * @returns allows it again
 */
export function freezeFolder(folder: string): () => void {
  const real = realpathSync(folder);
  frozen.add(real);
  return () => void frozen.delete(real);
}

function isFrozen(file: string): boolean {
  if (frozen.size === 0) return false;
  const folder = realpathSync(path.dirname(file));
  return [...frozen].some((one) => folder === one || folder.startsWith(`${one}${path.sep}`));
}
