import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import { freezeFolder, removeTemporaryFiles, writeDurably } from '../runtime/durable-file.ts';
import { assertNotHeld, lockFolder } from '../runtime/folder-lock.ts';
import { StateError } from '../runtime/state-error.ts';
import type { StandingProblems } from './standing-problems.ts';

/** The folder of everything that outlives the process. */
export interface DataDir {
  /** Whether it was taken at the start. If not, nothing was written and nothing can be listened on in it until a restart. */
  readonly held: boolean;
  close(): void;
}

/** A disk that was full or read-only is tried again so often. */
const RETRY_MS = 10_000;
/** No state that changes in daily work is larger; a disk with less room is as good as full. */
const PROBE_BYTES = 64 * 1024;

/**
 * Takes the data dir for this process and tidies it up. A disk that is full or read-only is no reason to refuse: what is there is
 * served, nothing that would have to be kept is changed, and a problem says so until the disk is writable again.
 * @throws LockHeldError when another process has it; StateError when it cannot be used
 */
export async function openDataDir(dir: string, { clock, problems }: { clock: Clock; problems: StandingProblems }): Promise<DataDir> {
  prepare(dir);
  let release: (() => void) | undefined;
  let thaw = () => {};
  let cancel = () => {};
  let closed = false;
  try {
    release = await lockFolder(dir);
  } catch (error) {
    if (!isDiskTrouble(error)) throw error;
    await assertNotHeld(dir);
    thaw = freezeFolder(dir);
    raise(error);
  }
  const held = release !== undefined;
  if (held) tidy();
  await check();
  return {
    held,
    close() {
      closed = true;
      cancel();
      release?.();
      thaw();
    },
  };

  function tidy(): void {
    for (const folder of [dir, path.join(dir, 'leaves')]) if (existsSync(folder)) removeTemporaryFiles(folder);
  }

  /** Tries to take what was not to be had, and to write. */
  async function check(): Promise<void> {
    try {
      if (!release) {
        const taken = await lockFolder(dir);
        if (closed) return taken();
        release = taken;
        thaw();
        tidy();
      }
      probe(dir);
      problems.clear('data-dir-not-writable');
    } catch (error) {
      raise(error);
      if (!closed) cancel = clock.after(RETRY_MS, () => void check());
    }
  }

  function raise(error: unknown): void {
    problems.raise({
      code: 'data-dir-not-writable',
      severity: 'error',
      message: `${dir} cannot be written: ${error instanceof Error ? error.message : String(error)}; what is in it is served, and nothing new is kept`,
      hint: 'free space, or make the file system writable',
    });
  }
}

function prepare(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
  } catch (error) {
    if (isDiskTrouble(error) && existsSync(dir)) return;
    throw new StateError(dir, `cannot be used as the data dir: ${error instanceof Error ? error.message : String(error)}`, 'name another with --data-dir');
  }
}

function probe(dir: string): void {
  const file = path.join(dir, 'probe');
  writeDurably(file, Buffer.alloc(PROBE_BYTES, 1));
  rmSync(file, { force: true });
}

/** Full, over quota, read-only: trouble that goes by and that reading does not suffer from. */
function isDiskTrouble(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}
