import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';

/** What a process wanted of a file. */
export type FileUse = 'read' | 'execute';

/** Why this process cannot use a file, and what to do about it. */
export interface FileObstacle {
  /**
   * missing: no such file. out-of-reach: a folder on the way to it may not be entered by this user. not-permitted: it is there,
   * and may not be used. other: none of these, the error as the system gave it.
   */
  readonly kind: 'missing' | 'out-of-reach' | 'not-permitted' | 'other';
  /** A sentence without a full stop that names the file. */
  readonly reason: string;
  readonly hint: string;
}

/** Linux follows this many links on the way to one file. Source: path_resolution(7). */
const MAX_LINKS = 40;

/**
 * Explains a failure to use a file. The question is asked after the attempt: access(2) judges by the real user and without
 * capabilities, so that asking it beforehand refuses what would have worked.
 * @param error what the attempt threw
 */
export function fileObstacle(file: string, use: FileUse, error: unknown): FileObstacle {
  return (
    wayObstacle(path.resolve(file), use) ??
    useObstacle(path.resolve(file), use, error) ?? { kind: 'other', reason: `${file} cannot be used: ${messageOf(error)}`, hint: 'see the reason' }
  );
}

/** Walks to the file folder by folder, through links as well, and stops where the system stops this user. */
function wayObstacle(file: string, use: FileUse): FileObstacle | undefined {
  const waiting = partsOf(file);
  let reached = '/';
  let links = 0;
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    const next = path.join(reached, part);
    try {
      if (lstatSync(next).isSymbolicLink()) {
        if (++links > MAX_LINKS) return { kind: 'missing', reason: `the links on the way to ${file} go in circles at ${next}`, hint: 'correct the link' };
        const target = path.resolve(reached, readlinkSync(next));
        waiting.unshift(...partsOf(target));
        reached = '/';
      } else reached = next;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES') return outOfReach(file, reached, use);
      if (code === 'ENOENT') return missing(file, next);
      if (code === 'ENOTDIR') return { kind: 'missing', reason: `${file} does not exist: ${reached} is not a folder`, hint: 'correct the path' };
      return undefined;
    }
  }
  return undefined;
}

function partsOf(absolute: string): string[] {
  return absolute.split('/').filter(Boolean);
}

function missing(file: string, firstMissing: string): FileObstacle {
  const where = firstMissing === file ? '' : `: there is no ${firstMissing}`;
  return { kind: 'missing', reason: `${file} does not exist${where}`, hint: 'correct the path, or put the file there' };
}

function outOfReach(file: string, folder: string, use: FileUse): FileObstacle {
  const { who, name } = currentUser();
  return {
    kind: 'out-of-reach',
    reason: `${who} cannot reach ${file}: the folder ${folder} (${ownership(folder)}) may not be entered`,
    hint: copyHint(file, name, use),
  };
}

/** The way is free: it is the file itself, or the file system it lies on. */
function useObstacle(file: string, use: FileUse, error: unknown): FileObstacle | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EISDIR' || isFolder(file)) return { kind: 'not-permitted', reason: `${file} is a folder`, hint: 'name a file in it' };
  if (code !== 'EACCES' && code !== 'EPERM') return undefined;
  const { who, name } = currentUser();
  const mount = use === 'execute' ? noexecMount(file) : undefined;
  if (mount) {
    return { kind: 'not-permitted', reason: `${file} cannot be executed: ${mount} is mounted with noexec`, hint: copyHint(file, name, use) };
  }
  if (use === 'execute' && (statSync(file).mode & 0o111) === 0) {
    return { kind: 'not-permitted', reason: `${file} is not executable (${ownership(file)})`, hint: `if it is the right file: chmod a+x ${quoted(file)}` };
  }
  return { kind: 'not-permitted', reason: `${who} may not ${use} ${file} (${ownership(file)})`, hint: copyHint(file, name, use) };
}

/** Never an advice to open up a folder: what else lies in it is nobody's business. */
function copyHint(file: string, user: string, use: FileUse): string {
  const copy = `as root: install -D ${use === 'execute' ? '-m 755' : `-o ${user} -m 600`} ${quoted(file)}`;
  return use === 'execute'
    ? `put a copy where every user reaches it, ${copy} ${quoted(`/usr/local/bin/${path.basename(file)}`)}`
    : `put a copy where this user may read it, ${copy} ${quoted(`/etc/adsum/${path.basename(file)}`)}`;
}

function isFolder(file: string): boolean {
  try {
    return statSync(file).isDirectory();
  } catch {
    return false;
  }
}

function ownership(file: string): string {
  try {
    const { mode, uid } = statSync(file);
    return `mode ${(mode & 0o7777).toString(8).padStart(4, '0')}, owner ${uid === 0 ? 'root' : `uid ${uid}`}`;
  } catch {
    return 'of somebody else';
  }
}

/** The mount point that holds the file, if programs on it cannot be executed. Source: proc_pid_mountinfo(5). */
function noexecMount(file: string): string | undefined {
  try {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const found = mounts.map((line) => line.split(' ')).map(([, , , , point = '', options = '']) => ({ point: unescaped(point), options: options.split(',') }));
    const holding = found.filter(({ point }) => point === '/' || file === point || file.startsWith(`${point}/`));
    const innermost = holding.reduce((best, mount) => (mount.point.length >= best.point.length ? mount : best), { point: '', options: [] as string[] });
    return innermost.options.includes('noexec') ? innermost.point : undefined;
  } catch {
    return undefined;
  }
}

/** Blanks and the like stand as octal escapes in mountinfo. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Not every user has a name: a container's may be a bare number. */
function currentUser(): { who: string; name: string } {
  try {
    const { username, uid } = userInfo();
    return { who: `user ${username} (uid ${uid})`, name: username };
  } catch {
    const uid = String(process.geteuid?.() ?? 'unknown');
    return { who: `the user with uid ${uid}`, name: uid };
  }
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
