import type { Mesh } from '../mesh/mesh.ts';
import type { Problem } from '../mesh/problem.ts';

/** What a source read: a mesh, or the errors that keep it from being one. */
export interface LoadResult {
  readonly mesh?: Mesh;
  readonly problems: readonly Problem[];
}

/** Takes what a source tells. */
export interface MeshSink {
  /** The newest mesh, whole, or the errors that keep it from being one. @returns whether it is served now */
  load(result: LoadResult): boolean;
  /** What was given last is not the newest any more. Without problems those of the last `load` stand. */
  markStale(reason: string, problems?: readonly Problem[]): void;
  /** Defects of the newest input. */
  readonly problems: readonly Problem[];
  /** What was given last is the newest again. */
  markFresh(): void;
}

/**
 * Port: where a mesh comes from. What every source promises (test/unit/control-plane/mesh-source.test.ts holds them to it):
 * - A mesh is complete. Before everything has been read none is given.
 * - What did not change is the same object as in the mesh before: instances and config entries. Of mesh files that holds file by file.
 * - Nothing is given when nothing changed.
 * - Input that cannot be used, or a source that does not answer, marks what was given as stale and takes nothing away.
 * - After `close` nothing is given.
 */
export interface MeshSource {
  /** Gives what is known at once, or says what it waits for. Called once, before any port is opened. @throws MeshError when there is nothing, and waiting brings nothing */
  load(sink: MeshSink): void;
  /** Follows the changes. Called once, after `load`. @returns once nothing that changes from now on can be missed */
  watch(sink: MeshSink): Promise<void>;
  close(): Promise<void>;
}
