import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, utimesSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Another living process holds the folder. */
export class LockHeldError extends Error {
  /** The socket by which it holds it. */
  readonly file: string;

  constructor(file: string) {
    const [, host = '?', pid = '?'] = NAME.exec(path.basename(file)) ?? [];
    super(`another adsum (process ${pid} on ${host}) holds ${path.dirname(file)}: stop that process, or use another folder`);
    this.name = 'LockHeldError';
    this.file = file;
  }
}

/** `lock-<host>-<process>-<boot>-<random>.sock`. Each process has a name of its own, so that the file of a dead one never comes to life again. */
const NAME = /^lock-(.+)-(\d+)-([0-9a-f]*)-[0-9a-f]{8}\.sock$/;

/** Two that start at once see each other and both step back; one of these times one of them is alone. */
const ATTEMPTS = 4;
const LONGEST_PAUSE_MS = 500;

/** A holder on another machine, over a network file system, shows by the time of its file that it lives. */
const SIGN_OF_LIFE_MS = 2_000;
const WATCH_MS = 5 * SIGN_OF_LIFE_MS;

/**
 * Takes a folder for this process, or throws `LockHeldError`. What holds it is a Unix socket in it that this process listens on: the
 * kernel answers for the living, in whatever container they are, and stops when they die, however they do. Safe because everybody listens
 * before looking: of two that take the folder the later one to look sees the other.
 * @returns releases it; calling it again does nothing
 */
export async function lockFolder(folder: string): Promise<() => void> {
  for (let attempt = 1; ; attempt += 1) {
    const release = await listenIn(folder);
    const holder = await livingHolder(folder, release.file);
    if (holder === undefined) return release;
    release();
    if (attempt === ATTEMPTS) throw new LockHeldError(holder);
    await pause(randomInt(LONGEST_PAUSE_MS));
  }
}

/** Whether a living process holds the folder; nothing is written. @throws LockHeldError */
export async function assertNotHeld(folder: string): Promise<void> {
  const holder = await livingHolder(folder, undefined);
  if (holder !== undefined) throw new LockHeldError(holder);
}

async function listenIn(folder: string): Promise<(() => void) & { readonly file: string }> {
  const host = hostname()
    .replaceAll(/[^\w.]/g, '_')
    .slice(0, 24);
  const file = path.join(folder, `lock-${host}-${process.pid}-${bootId()}-${randomBytes(4).toString('hex')}.sock`);
  const server: Server = createServer((connection) => connection.destroy());
  await withShortPath(file, async (short) => {
    server.listen(short);
    await once(server, 'listening');
  });
  server.unref();
  const showing = isLocal(folder) ? undefined : setInterval(() => showLife(file), SIGN_OF_LIFE_MS).unref();
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    clearInterval(showing);
    server.close();
    rmSync(file, { force: true });
  };
  return Object.assign(release, { file });
}

function showLife(file: string): void {
  try {
    utimesSync(file, new Date(), new Date());
  } catch {
    // A folder that was taken away has nothing to hold.
  }
}

/** The socket of a living holder. Those of the dead are removed. */
async function livingHolder(folder: string, own: string | undefined): Promise<string | undefined> {
  const others = readdirSync(folder)
    .filter((name) => NAME.test(name))
    .map((name) => path.join(folder, name))
    .filter((file) => file !== own);
  for (const file of others) {
    if (await isAlive(file)) return file;
    try {
      rmSync(file, { force: true });
    } catch {
      // A read-only file system; a dead socket does no harm.
    }
  }
  return undefined;
}

async function isAlive(file: string): Promise<boolean> {
  if (await answers(file)) return true;
  const [, , , boot = ''] = NAME.exec(path.basename(file)) ?? [];
  if (boot === bootId() || isLocal(path.dirname(file))) return false;
  return changes(file);
}

/** Only a refusal says that nobody listens; every other failure may be a living holder that is too busy, or of another user. */
async function answers(file: string): Promise<boolean> {
  return withShortPath(file, async (short) => {
    const connection = connect(short);
    try {
      await once(connection, 'connect');
      return true;
    } catch (error) {
      return !['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
    } finally {
      connection.destroy();
    }
  });
}

async function changes(file: string): Promise<boolean> {
  const before = writtenAt(file);
  await pause(WATCH_MS);
  return writtenAt(file) !== before;
}

function writtenAt(file: string): number | undefined {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return undefined;
  }
}

/** The path of a Unix socket may have 107 bytes; through an open folder every one is short enough. Source: unix(7). */
async function withShortPath<Result>(file: string, use: (short: string) => Promise<Result>): Promise<Result> {
  if (process.platform !== 'linux') return use(file);
  const folder = openSync(path.dirname(file), 'r');
  try {
    return await use(`/proc/self/fd/${folder}/${path.basename(file)}`);
  } finally {
    closeSync(folder);
  }
}

/** Changes with each start of the machine; empty where the system does not tell. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
      .replaceAll(/[^0-9a-f]/g, '')
      .slice(0, 8);
  } catch {
    return '';
  }
}

/** Kinds of file systems that one running kernel has for itself. Source: statfs(2). */
const LOCAL_KINDS: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlay
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
]);

function isLocal(folder: string): boolean {
  return LOCAL_KINDS.has(statfsSync(folder).type >>> 0);
}
