import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { MeshFile } from './mesh-file.ts';
import { MeshFileReader, type ReadFiles } from './mesh-file-reader.ts';
import { MeshFileParser } from './parse-mesh-files.ts';
import { type MeshFilesResult, parseReadFiles } from './read-mesh-files.ts';
import { WatchedFolders } from './watched-folders.ts';

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

/** All files are looked at so often also without an event: network file systems give none, and a folder that was replaced is watched no more. */
const POLL_MS = 1000;
/** Reading the names and times of all files takes at most this part of the time: with ten thousand files it is done less often … */
const POLL_SHARE = 0.01;
/** … but so often at least. */
const LONGEST_POLL_MS = 30_000;

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

  /** How long the last look took, without parsing. */
  let readMs = 0;
  /** The files to look at the next time; undefined: all of them. */
  let touched: Set<string> | undefined;

  const folders = new WatchedFolders({
    paths,
    touched: (what) => {
      if (what === 'everything') touched = undefined;
      else touched?.add(what.file);
      lookSoon(GATHER_MS);
    },
    failed: (error) => logger.warn({ error: String(error) }, 'watching the mesh files: looking once a second instead'),
  });
  signal.addEventListener('abort', close, { once: true });
  look(Number.POSITIVE_INFINITY);
  poll(POLL_MS);

  function lookSoon(delayMs: number): void {
    cancelLook ??= clock.after(delayMs, () => look(clock.now()));
  }

  /** @param nowMs for leaving alone what is being written; infinity takes everything as it is */
  function look(nowMs: number): void {
    cancelLook?.();
    cancelLook = undefined;
    if (signal.aborted) return;
    if (touched === undefined) folders.renew();
    const startMs = clock.now();
    const read = reader.read(paths, { nowMs, ...(touched && { only: touched }) });
    readMs = clock.now() - startMs;
    if (read.unsettledMs > 0) {
      lookSoon(Math.ceil(read.unsettledMs));
      return;
    }
    touched = new Set();
    const now = fingerprint(read);
    if (last !== undefined && sameFingerprint(last, now)) return;
    last = now;
    onChange(parseReadFiles(parser, read));
  }

  function poll(waitMs: number): void {
    if (signal.aborted) return;
    cancelPoll = clock.after(waitMs, () => {
      touched = undefined;
      look(clock.now());
      poll(Math.min(LONGEST_POLL_MS, Math.max(POLL_MS, readMs / POLL_SHARE)));
    });
  }

  function close(): void {
    cancelLook?.();
    cancelPoll();
    folders.close();
  }
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
