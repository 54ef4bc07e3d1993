import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Problem } from '../mesh/problem.ts';
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

/** Reads mesh files and folders; a file that did not change since the last time is not read again. */
export class MeshFileReader {
  #known = new Map<string, { readonly signature: string; readonly file?: MeshFile; readonly problem?: Problem }>();

  /** @param nowMs for telling files that are being written; without it they are read as they are */
  read(paths: readonly string[], nowMs = Number.POSITIVE_INFINITY): ReadFiles {
    const known = this.#known;
    this.#known = new Map();
    const problems: Problem[] = [];
    let unsettledMs = 0;
    for (const file of paths.flatMap((given) => filesOf(given, problems))) {
      if (this.#known.has(file)) continue;
      const earlier = known.get(file);
      const found = signatureOf(file);
      if (earlier?.signature === found.signature) {
        this.#known.set(file, earlier);
        continue;
      }
      const remainingMs = found.writtenAtMs === undefined ? 0 : found.writtenAtMs + QUIET_MS - nowMs;
      if (remainingMs > 0 && remainingMs <= QUIET_MS) unsettledMs = Math.max(unsettledMs, remainingMs);
      this.#known.set(file, { signature: found.signature, ...readOne(file) });
    }
    const read = [...this.#known.values()];
    if (unsettledMs > 0) this.#known = known;
    return {
      files: read.flatMap(({ file }) => file ?? []),
      problems: [...problems, ...read.flatMap(({ problem }) => problem ?? [])],
      unsettledMs,
    };
  }
}

function readOne(file: string): { file: MeshFile } | { problem: Problem } {
  try {
    return { file: { path: file, text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)) } };
  } catch (error) {
    if (error instanceof TypeError) return { problem: unreadable(file, 'not UTF-8 text', 'save it as UTF-8') };
    return { problem: unreadable(file, reasonOf(error), 'check that it exists and may be read') };
  }
}

/** Changes whenever the content may have: another file under the name, another size or another time of writing. */
function signatureOf(file: string): { readonly signature: string; readonly writtenAtMs?: number } {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    const renamedIntoPlace = ctimeNs > mtimeNs;
    return { signature: `${dev}/${ino}/${size}/${mtimeNs}/${ctimeNs}`, ...(renamedIntoPlace ? {} : { writtenAtMs: Number(mtimeNs) / 1e6 }) };
  } catch (error) {
    return { signature: reasonOf(error) };
  }
}

function filesOf(given: string, problems: Problem[]): string[] {
  let names: string[];
  try {
    if (!statSync(given).isDirectory()) return [given];
    names = readdirSync(given).filter(isMeshFileName).sort();
  } catch (error) {
    problems.push(unreadable(given, reasonOf(error), 'check the path after --mesh'));
    return [];
  }
  const files = names.map((name) => path.join(given, name)).filter((file) => !isFolder(file));
  if (files.length === 0) {
    const hint = 'write a mesh file into it; its name ends in .yaml, .yml or .json';
    problems.push({ code: 'no-mesh-files', severity: 'error', message: 'the folder holds no mesh file', place: { file: given }, hint });
  }
  return files;
}

/** Dotfiles and what editors and `rename` leave for a moment are no mesh files. */
export function isMeshFileName(name: string): boolean {
  return !name.startsWith('.') && /\.(?:ya?ml|json)$/.test(name);
}

/** A link that leads nowhere is no folder; reading it will say so. */
function isFolder(file: string): boolean {
  try {
    return (lstatSync(file).isSymbolicLink() ? statSync(file) : lstatSync(file)).isDirectory();
  } catch {
    return false;
  }
}

function unreadable(file: string, reason: string, hint: string): Problem {
  return { code: 'unreadable-file', severity: 'error', message: `cannot be read: ${reason}`, place: { file }, hint };
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  return REASONS[code ?? ''] ?? code ?? String(error);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  ELOOP: 'its links go in circles',
};
