import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { MeshFile } from './mesh-file.ts';
import { isMeshFileName, MeshFileReader, type ReadFiles } from './mesh-file-reader.ts';
import { MeshFileParser } from './parse-mesh-files.ts';
import { type MeshFilesResult, parseReadFiles } from './read-mesh-files.ts';

export interface WatchOptions {
  /** Mesh files and folders of them. */
  readonly paths: readonly string[];
  readonly onChange: (result: MeshFilesResult) => void;
  readonly logger: Logger;
  /** Ends the watching. */
  readonly signal: AbortSignal;
  /** What the caller has read already. Without it `onChange` is first called with what is there now. */
  readonly known?: readonly MeshFile[];
  /** What they were parsed with, so that only what changes is parsed. */
  readonly parser?: MeshFileParser;
  readonly clock?: Clock;
}

/** Changes that come together are served together: an editor's save is several events, a rename into place one or two. */
const GATHER_MS = 10;

/** Looked at so often also without an event: network file systems give none, and a folder that was replaced is watched no more. */
const POLL_MS = 1000;

/**
 * Reads mesh files whenever they change: written in place, replaced by rename, deleted, made again, or linked to from elsewhere as
 * Kubernetes does with its volumes. `onChange` gets the whole mesh or its errors, and is not called when nothing changed.
 * @returns once the watching has begun
 */
export async function watchMeshFiles(options: WatchOptions): Promise<void> {
  const { paths, onChange, logger, signal, clock = systemClock } = options;
  if (signal.aborted) return;
  const reader = new MeshFileReader();
  const parser = options.parser ?? new MeshFileParser();
  let last = options.known && fingerprint({ files: options.known, problems: [] });
  let cancelLook: (() => void) | undefined;
  let cancelPoll = () => {};

  const folders = inodesOf(paths);
  // Only the folders themselves: their events tell of everything in them, and cost one watch whatever the number of files.
  const watcher = watch([...folders.keys()], { depth: 0, ignoreInitial: true, atomic: false, ignored: (file) => !folders.has(path.resolve(file)) });
  watcher.on('raw', (_event, file) => {
    if (isOfInterest(file)) lookSoon(GATHER_MS);
  });
  watcher.on('error', (error) => logger.warn({ error: String(error) }, 'watching the mesh files: looking once a second instead'));
  signal.addEventListener('abort', close, { once: true });
  await ready(watcher, signal);
  look(Number.POSITIVE_INFINITY);
  poll();

  function lookSoon(delayMs: number): void {
    cancelLook ??= clock.after(delayMs, () => look(clock.now()));
  }

  /** @param nowMs for leaving alone what is being written; infinity takes everything as it is */
  function look(nowMs: number): void {
    cancelLook?.();
    cancelLook = undefined;
    if (signal.aborted) return;
    watchReplacedFolders();
    const read = reader.read(paths, nowMs);
    if (read.unsettledMs > 0) {
      lookSoon(Math.ceil(read.unsettledMs));
      return;
    }
    const now = fingerprint(read);
    if (last !== undefined && sameFingerprint(last, now)) return;
    last = now;
    onChange(parseReadFiles(parser, read));
  }

  function poll(): void {
    if (signal.aborted) return;
    cancelPoll = clock.after(POLL_MS, () => {
      look(clock.now());
      poll();
    });
  }

  /** A watch stays with the folder it was set on, wherever that has gone. */
  function watchReplacedFolders(): void {
    for (const [folder, inode] of inodesOf(paths)) {
      if (folders.get(folder) === inode) continue;
      if (folders.has(folder)) watcher.unwatch(folder);
      folders.set(folder, inode);
      watcher.add(folder);
    }
  }

  function close(): void {
    cancelLook?.();
    cancelPoll();
    void watcher.close();
  }
}

/** Where an event may mean a change: the folders given, those around the files given, and those that links lead to. */
function foldersOf(paths: readonly string[]): string[] {
  return paths.flatMap((given) => {
    const around = [path.dirname(path.resolve(given)), path.resolve(given)];
    try {
      const real = realpathSync(given);
      return [...around, path.dirname(real), real];
    } catch {
      return around;
    }
  });
}

function inodesOf(paths: readonly string[]): Map<string, bigint | undefined> {
  return new Map(foldersOf(paths).map((folder) => [folder, inodeOf(folder)]));
}

function inodeOf(folder: string): bigint | undefined {
  try {
    return statSync(folder, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}

/** Links such as `..data`, which Kubernetes swaps, count as well; what is merely on its way to a name does not. */
function isOfInterest(file: unknown): boolean {
  if (typeof file !== 'string') return true;
  const name = path.basename(file);
  return isMeshFileName(name) || name.startsWith('..') || !name.includes('.');
}

function ready(watcher: FSWatcher, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    watcher.once('ready', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

type Fingerprint = ReadonlyMap<string, string>;

/** Texts by path, and what could not be read. Texts of unchanged files are the same strings, so comparing them is cheap. */
function fingerprint({ files, problems }: Pick<ReadFiles, 'files' | 'problems'>): Fingerprint {
  return new Map([
    ...files.map(({ path: file, text }) => [file, text] as const),
    ...problems.map(({ place, code, message }) => [`${place?.file} ${code}`, message] as const),
  ]);
}

function sameFingerprint(before: Fingerprint, now: Fingerprint): boolean {
  return before.size === now.size && [...now].every(([key, value]) => before.get(key) === value);
}
