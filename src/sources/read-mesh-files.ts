import type { MeshResult } from './assemble-mesh.ts';
import type { MeshFile } from './mesh-file.ts';
import { MeshFileReader, type ReadFiles } from './mesh-file-reader.ts';
import { MeshFileParser } from './parse-mesh-files.ts';

/** A mesh, the files it came from, and everything that is wrong with them; `problems` holds those of `mesh` too. */
export interface MeshFilesResult extends MeshResult {
  readonly files: readonly MeshFile[];
}

/**
 * Reads mesh files, and folders of them, once.
 * @param parser one that goes on being used keeps what it parsed
 */
export function readMeshFiles(paths: readonly string[], parser = new MeshFileParser()): MeshFilesResult {
  return parseReadFiles(parser, new MeshFileReader().read(paths));
}

/** What could not be read is an error like any other: no mesh comes of it, and the defects of the rest are told as well. */
export function parseReadFiles(parser: MeshFileParser, { files, problems }: ReadFiles): MeshFilesResult {
  if (files.length === 0 && problems.length > 0) return { files, problems };
  const parsed = parser.parse(files);
  return problems.length > 0 ? { files, problems: [...problems, ...parsed.problems] } : { ...parsed, files };
}
