import path from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { MeshFile } from '../sources/mesh-file.ts';
import { KeptCopy } from './kept-copy.ts';

const WRITE_DELAY_MS = 500;
export const LAST_GOOD_MESH_FILE = 'last-good-mesh.json';

/**
 * The mesh files as they were when they last loaded without an error. adsum serves them after its own restart when the files of
 * the day cannot be used, so that a restart in the middle of somebody's edit takes no sidecar down.
 */
export class LastGoodMesh {
  readonly #copy: KeptCopy<readonly MeshFile[]>;

  constructor({ dataDir, clock, logger }: { dataDir: string; clock: Clock; logger: Logger }) {
    this.#copy = new KeptCopy({ file: path.join(dataDir, LAST_GOOD_MESH_FILE), of: 'the last good mesh', delayMs: WRITE_DELAY_MS, parse, clock, logger });
  }

  load(): readonly MeshFile[] | undefined {
    return this.#copy.load();
  }

  save(files: readonly MeshFile[]): void {
    this.#copy.save(() => ({ files }));
  }

  /** Writes what waits, at once. */
  flush(): void {
    this.#copy.flush();
  }
}

function parse(json: unknown): readonly MeshFile[] | undefined {
  const { files } = json as { files?: unknown };
  return Array.isArray(files) && files.every(isMeshFile) ? files : undefined;
}

function isMeshFile(value: unknown): value is MeshFile {
  return typeof value === 'object' && value !== null && typeof (value as MeshFile).path === 'string' && typeof (value as MeshFile).text === 'string';
}
