import { readdirSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Problem } from '../mesh/problem.ts';
import { fileObstacle } from '../runtime/file-obstacle.ts';
import { readRegularFile, UnfitFileError } from '../runtime/regular-file.ts';
import type { MeshFile } from './mesh-file.ts';

/** What there is to parse, and what could not be read. */
export interface ReadFiles {
  readonly files: readonly MeshFile[];
  readonly problems: readonly Problem[];
  /** Something has been written to a file just now, and more may follow; look again this many milliseconds later. */
  readonly unsettledMs: number;
}

/**
 * A file that is being written in place is read when nothing was written for so long, because the beginning of a mesh file is often
 * a mesh too. One that was renamed into place is whole.
 */
const QUIET_MS = 20;

/** Some hundred thousand instances. Parsing costs the only thread about two seconds per MiB. */
const MOST_BYTES_OF_A_FILE = 16 * 1024 * 1024;
const MOST_BYTES = 4 * MOST_BYTES_OF_A_FILE;

interface Read {
  readonly file?: MeshFile;
  readonly problem?: Problem;
}

/** A file to read. One that was found in a folder must be in it, wherever its links lead. */
interface Found {
  readonly file: string;
  readonly within?: string;
}

export interface ReadOptions {
  /** For telling files that are being written; without it they are read as they are. */
  readonly nowMs?: number;
  /** Of the files known already, only these may have changed; the others are not looked at. Files that come or go are always found. */
  readonly only?: ReadonlySet<string>;
}

/** Reads mesh files and folders; a file that did not change since the last time is not read again. */
export class MeshFileReader {
  #known = new Map<string, Read & { readonly signature: string }>();

  read(paths: readonly string[], { nowMs = Number.POSITIVE_INFINITY, only }: ReadOptions = {}): ReadFiles {
    const known = this.#known;
    this.#known = new Map();
    const problems: Problem[] = [];
    let unsettledMs = 0;
    for (const { file, within } of paths.flatMap((given) => filesOf(given, problems))) {
      if (this.#known.has(file)) continue;
      const earlier = known.get(file);
      if (earlier && only && !only.has(file)) {
        this.#known.set(file, earlier);
        continue;
      }
      const found = signatureOf(file);
      if (earlier?.signature === found.signature) {
        this.#known.set(file, earlier);
        continue;
      }
      const remainingMs = found.writtenAtMs === undefined ? 0 : found.writtenAtMs + QUIET_MS - nowMs;
      if (remainingMs > 0 && remainingMs <= QUIET_MS) unsettledMs = Math.max(unsettledMs, remainingMs);
      this.#known.set(file, { signature: found.signature, ...readOne(file, within) });
    }
    const read = boundedTogether([...this.#known.values()]);
    if (unsettledMs > 0) this.#known = known;
    return {
      files: read.flatMap(({ file }) => file ?? []),
      problems: [...problems, ...read.flatMap(({ problem }) => problem ?? [])],
      unsettledMs,
    };
  }
}

function readOne(file: string, within: string | undefined): Read {
  try {
    const content = readRegularFile(file, { mostBytes: MOST_BYTES_OF_A_FILE, ...(within === undefined ? {} : { within }) });
    return { file: { path: file, text: new TextDecoder('utf-8', { fatal: true }).decode(content) } };
  } catch (error) {
    if (error instanceof UnfitFileError) return { problem: unreadable(file, error.message, 'keep only mesh files there') };
    if (error instanceof TypeError) return { problem: unreadable(file, 'not UTF-8 text', 'save it as UTF-8') };
    return { problem: obstructed(file, error) };
  }
}

/** Changes whenever the content may have: another file under the name, another size or another time of writing. */
function signatureOf(file: string): { readonly signature: string; readonly writtenAtMs?: number } {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    const renamedIntoPlace = ctimeNs > mtimeNs;
    return { signature: `${dev}/${ino}/${size}/${mtimeNs}/${ctimeNs}`, ...(renamedIntoPlace ? {} : { writtenAtMs: Number(mtimeNs) / 1e6 }) };
  } catch (error) {
    return { signature: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

function filesOf(given: string, problems: Problem[]): Found[] {
  let names: string[];
  let within: string;
  try {
    if (!statSync(given).isDirectory()) return [{ file: given }];
    within = realpathSync(given);
    names = readdirSync(given, { withFileTypes: true })
      // A link says only where it leads whether that is a folder.
      .filter((entry) => isMeshFileName(entry.name) && !(entry.isSymbolicLink() ? isFolder(path.join(given, entry.name)) : entry.isDirectory()))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    problems.push(obstructed(given, error));
    return [];
  }
  const files = names.map((name) => path.join(given, name));
  if (files.length === 0) {
    const hint = 'write a mesh file into it; its name ends in .yaml, .yml or .json';
    problems.push({ code: 'no-mesh-files', severity: 'error', message: 'the folder holds no mesh file', place: { file: given }, hint });
  }
  return files.map((file) => ({ file, within }));
}

/** Dotfiles and what editors and `rename` leave for a moment are no mesh files. */
export function isMeshFileName(name: string): boolean {
  return !name.startsWith('.') && /\.(?:ya?ml|json)$/.test(name);
}

/** A link that leads nowhere is no folder; reading it will say so. */
function isFolder(file: string): boolean {
  try {
    return statSync(file).isDirectory();
  } catch {
    return false;
  }
}

function boundedTogether(all: readonly Read[]): Read[] {
  let size = 0;
  return all.map((one) => {
    size += one.file?.text.length ?? 0;
    return one.file && size > MOST_BYTES ? { problem: tooMuch(one.file.path) } : one;
  });
}

function tooMuch(file: string): Problem {
  return unreadable(file, `the mesh files are larger than ${MOST_BYTES / 1024 / 1024} MiB together`, 'make the mesh smaller');
}

function unreadable(file: string, reason: string, hint: string): Problem {
  return { code: 'unreadable-file', severity: 'error', message: `cannot be read: ${reason}`, place: { file }, hint };
}

function obstructed(file: string, error: unknown): Problem {
  const { reason, hint } = fileObstacle(file, 'read', error);
  return unreadable(file, reason, hint);
}
