// The mesh file as the demo changes it: always a new file renamed over the old one, as an editor or a deployment would.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse, stringify } from 'yaml';

export class MeshFile {
  constructor(file, template) {
    this.file = file;
    this.original = parse(template);
    this.write(this.original);
  }

  /** One file out of the two of a folder: mesh.yaml, and addresses.yaml with where its nodes are. */
  static fromFolder(file, folder) {
    const [mesh, { nodes }] = ['mesh.yaml', 'addresses.yaml'].map((name) => parse(readFileSync(path.join(folder, name), 'utf8')));
    for (const node of mesh.nodes)
      Object.assign(
        node,
        nodes.find(({ name }) => name === node.name),
      );
    return new MeshFile(file, stringify(mesh));
  }

  write(mesh) {
    writeFileSync(`${this.file}.new`, stringify(mesh), { mode: 0o644 });
    renameSync(`${this.file}.new`, this.file);
  }

  /** Forbids the one caller of this service. */
  deny(service) {
    const mesh = structuredClone(this.original);
    for (const entry of mesh.config_entries) {
      if (entry.kind === 'service-intentions' && entry.name === service) entry.sources = entry.sources.map(({ name }) => ({ name, action: 'deny' }));
    }
    this.write(mesh);
  }

  /** As it was at first. */
  restore() {
    this.write(this.original);
  }
}
