import type { Mesh } from '../mesh/mesh.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { MeshFile } from '../sources/mesh-file.ts';
import { MeshFileParser, parseMeshFiles } from '../sources/parse-mesh-files.ts';
import { readMeshFiles } from '../sources/read-mesh-files.ts';
import { watchMeshFiles } from '../sources/watch-mesh-files.ts';
import { LastGoodMesh } from './last-good-mesh.ts';
import { MeshError } from './mesh-error.ts';
import type { MeshSource } from './mesh-source.ts';

export interface FileMeshSourceOptions {
  /** Mesh files and folders of them. */
  readonly meshPaths: readonly string[];
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Mesh files, or at a start at which they have errors the copy of the last run.
 * @returns the source, and the mesh that it gives first
 * @throws MeshError when there is neither
 */
export function openFileMeshSource(options: FileMeshSourceOptions): MeshSource & { readonly initial: Mesh } {
  const { meshPaths, clock, logger } = options;
  const lastGood = new LastGoodMesh({ dataDir: options.dataDir, clock, logger });
  const parser = new MeshFileParser();
  const first = firstMesh(meshPaths, lastGood, parser);
  const ending = new AbortController();
  return {
    initial: first.mesh,
    load(sink) {
      if (sink.load(first)) {
        if (first.staleBecause) sink.markStale('the mesh files have errors; the copy from the last run is served', first.staleBecause);
        else {
          lastGood.save(first.files);
          // Before anybody is served: a crash from here on must find it.
          lastGood.flush();
        }
        return;
      }
      // What a full or read-only disk keeps from being served is new; what was served before needs nothing to be written.
      const { problems } = sink;
      const before = problems.some(({ code }) => code === 'state-not-writable') ? meshOf(lastGood.load()) : undefined;
      if (!before || !sink.load(before)) throw new MeshError(problems);
      sink.markStale('new state cannot be written; the copy from the last run is served', problems);
    },
    watch: (sink) =>
      watchMeshFiles({
        paths: meshPaths,
        known: first.files,
        parser,
        signal: ending.signal,
        logger,
        onChange: (result) => {
          if (sink.load(result)) lastGood.save(result.files);
        },
      }),
    async close() {
      ending.abort();
      lastGood.flush();
    },
  };
}

function firstMesh(paths: readonly string[], lastGood: LastGoodMesh, parser: MeshFileParser) {
  const read = readMeshFiles(paths, parser);
  if (read.mesh) return { ...read, mesh: read.mesh, staleBecause: undefined };
  const copy = lastGood.load();
  const old = meshOf(copy);
  if (!copy || !old?.mesh) throw new MeshError(read.problems);
  return { files: copy, mesh: old.mesh, problems: old.problems, staleBecause: read.problems };
}

function meshOf(copy: readonly MeshFile[] | undefined) {
  return copy && parseMeshFiles(copy);
}
