import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import type { Logger } from '../runtime/logger.ts';
import type { MeshFile } from '../sources/mesh-file.ts';

/** How long a burst of changes may go on before the copy is written: it is a fallback, not the store, which is the user's files. */
const WRITE_DELAY_MS = 500;

/**
 * The mesh files as they were when they last loaded without an error. adsum serves them after its own restart when the files of
 * the day cannot be used, so that a restart in the middle of somebody's edit takes no sidecar down.
 */
export class LastGoodMesh {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #pending: readonly MeshFile[] | undefined;
  #cancel: () => void = () => {};

  constructor(options: { dataDir: string; clock: Clock; logger: Logger }) {
    this.#file = path.join(options.dataDir, 'last-good-mesh.json');
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Undefined when there is none, or none that can be read: it is a copy, so that is no error. */
  load(): readonly MeshFile[] | undefined {
    try {
      const { files } = JSON.parse(readFileSync(this.#file, 'utf8')) as { files?: unknown };
      return Array.isArray(files) && files.every(isMeshFile) ? files : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#logger.warn({ file: this.#file, error: String(error) }, 'the copy of the last good mesh cannot be read');
      return undefined;
    }
  }

  save(files: readonly MeshFile[]): void {
    if (!this.#pending) this.#cancel = this.#clock.after(WRITE_DELAY_MS, () => this.flush());
    this.#pending = files;
  }

  /** Writes what waits, at once. */
  flush(): void {
    this.#cancel();
    const files = this.#pending;
    this.#pending = undefined;
    if (!files) return;
    try {
      writeDurably(this.#file, JSON.stringify({ files }));
    } catch (error) {
      this.#logger.warn({ file: this.#file, error: String(error) }, 'the copy of the last good mesh cannot be written');
    }
  }
}

function isMeshFile(value: unknown): value is MeshFile {
  return typeof value === 'object' && value !== null && typeof (value as MeshFile).path === 'string' && typeof (value as MeshFile).text === 'string';
}
