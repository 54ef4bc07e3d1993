import { assembleMesh, type MeshResult } from './assemble-mesh.ts';
import { type ExpandedNode, expandNode } from './expand-node.ts';
import type { MeshFile } from './mesh-file.ts';
import { type ParsedFile, type ParsedNode, parseMeshFile } from './parse-mesh-file.ts';

/** Parses mesh files into a mesh. Pure: what has errors is no mesh, and says why. */
export function parseMeshFiles(files: readonly MeshFile[]): MeshResult {
  return new MeshFileParser().parse(files);
}

/**
 * Parses the same files again and again, working on what changed: a file whose text is the same is not parsed, a node none of whose
 * parts changed keeps its instances, the very same objects.
 */
export class MeshFileParser {
  #files = new Map<string, { readonly text: string; readonly parsed: ParsedFile }>();
  #nodes = new Map<string, { readonly parts: readonly ParsedNode[]; readonly expanded: ExpandedNode }>();

  parse(files: readonly MeshFile[]): MeshResult {
    const known = this.#files;
    this.#files = new Map(
      files.map((file) => {
        const earlier = known.get(file.path);
        return [file.path, earlier?.text === file.text ? earlier : { text: file.text, parsed: parseMeshFile(file) }];
      }),
    );
    const knownNodes = this.#nodes;
    this.#nodes = new Map();
    const parsed = [...this.#files.values()].map((file) => file.parsed);
    if (parsed.length === 0) {
      const hint = 'write a mesh file; its name ends in .yaml, .yml or .json';
      return { problems: [{ code: 'no-mesh-files', severity: 'error', message: 'there is no mesh file', hint }] };
    }
    return assembleMesh(parsed, (name, parts) => {
      const earlier = knownNodes.get(name);
      const same = earlier?.parts.length === parts.length && earlier.parts.every((part, index) => part === parts[index]);
      const expanded = earlier && same ? earlier.expanded : expandNode(parts);
      this.#nodes.set(name, { parts, expanded });
      return expanded;
    });
  }
}
