import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { isMeshFileName } from './mesh-file-reader.ts';

/** What an event was about: one mesh file, by the path under which it is read, or possibly all of them. */
export type Touched = { readonly file: string } | 'everything';

export interface WatchedFoldersOptions {
  /** Mesh files and folders of them. */
  readonly paths: readonly string[];
  readonly touched: (what: Touched) => void;
  /** A folder that is there cannot be watched. */
  readonly failed: (error: unknown) => void;
}

/** Answers for a name that something happened to in a folder: what it means for the mesh files, if anything. */
type Concern = (name: string) => Touched | undefined;

interface WatchedFolder {
  readonly inode: bigint | undefined;
  readonly watcher: FSWatcher | undefined;
}

/**
 * The folders in which an event may mean a change of the mesh files: the folders given, those around what is given, and those that
 * links lead to. Of what happens there only the names that matter are passed on. Only folders are watched: their events tell of
 * everything in them, and cost one watch whatever the number of files.
 */
export class WatchedFolders {
  readonly #options: WatchedFoldersOptions;
  readonly #watched = new Map<string, WatchedFolder>();
  #concerns = new Map<string, Concern[]>();

  constructor(options: WatchedFoldersOptions) {
    this.#options = options;
    this.renew();
  }

  /** A watch stays with the folder it was set on, wherever that has gone: those of folders that were replaced are set anew. */
  renew(): void {
    this.#concerns = concernsOf(this.#options.paths);
    for (const [folder, { watcher }] of this.#watched) {
      if (this.#concerns.has(folder)) continue;
      watcher?.close();
      this.#watched.delete(folder);
    }
    for (const folder of this.#concerns.keys()) {
      const known = this.#watched.get(folder);
      const inode = inodeOf(folder);
      if (known && known.inode === inode) continue;
      known?.watcher?.close();
      this.#watched.set(folder, { inode, watcher: inode === undefined ? undefined : this.#watch(folder) });
    }
  }

  close(): void {
    for (const { watcher } of this.#watched.values()) watcher?.close();
    this.#watched.clear();
  }

  #watch(folder: string): FSWatcher | undefined {
    try {
      const watcher = watch(folder, (_event, name) => this.#happened(folder, name));
      watcher.on('error', this.#options.failed);
      return watcher;
    } catch (error) {
      this.#options.failed(error);
      return undefined;
    }
  }

  #happened(folder: string, name: string | null): void {
    const { touched } = this.#options;
    // Some systems do not say which name it was.
    if (name === null) touched('everything');
    else for (const what of this.#concerns.get(folder)?.map((concern) => concern(name)) ?? []) if (what) touched(what);
  }
}

function concernsOf(paths: readonly string[]): Map<string, Concern[]> {
  const concerns = new Map<string, Concern[]>();
  const add = (folder: string, concern: Concern) => concerns.set(folder, [...(concerns.get(folder) ?? []), concern]);
  for (const given of paths) {
    for (const spelled of spellings(given)) {
      const own = path.basename(spelled);
      add(path.dirname(spelled), (name) => (name === own || isSwappedLink(name) ? 'everything' : undefined));
      if (!isFolder(spelled)) continue;
      add(spelled, (name) => (isMeshFileName(name) ? { file: path.join(given, name) } : isSwappedLink(name) ? 'everything' : undefined));
    }
  }
  return concerns;
}

/** As given, and where its links lead. */
function spellings(given: string): Set<string> {
  const absolute = path.resolve(given);
  try {
    return new Set([absolute, realpathSync(given)]);
  } catch {
    return new Set([absolute]);
  }
}

/** Such as `..data`, through which Kubernetes replaces all files of a volume at once. */
function isSwappedLink(name: string): boolean {
  return name.startsWith('..');
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

function inodeOf(folder: string): bigint | undefined {
  try {
    return statSync(folder, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}
