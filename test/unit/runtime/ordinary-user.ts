import { chmodSync } from 'node:fs';

/** A user without any rights of its own, and without files. Debian's `nobody`. */
const NOBODY = 65_534;

/**
 * Runs something as a user who may not enter this folder, in this process: root becomes somebody else for the time, anybody else
 * takes the folder's permissions away.
 */
export async function asOrdinaryUser(forbidden: string, action: () => unknown): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  chmodSync(forbidden, isRoot ? 0o700 : 0o000);
  if (isRoot) process.setegid?.(NOBODY);
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await action();
  } finally {
    if (isRoot) process.seteuid?.(0);
    if (isRoot) process.setegid?.(0);
    chmodSync(forbidden, 0o700);
  }
}
