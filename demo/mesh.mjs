// The mesh file as the demo changes it: always a new file renamed over the old one, as an editor or a deployment would.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';

export class MeshFile {
  constructor(file, template) {
    this.file = file;
    this.original = parse(template);
    this.write(this.original);
  }

  static fromFile(file, templateFile) {
    return new MeshFile(file, readFileSync(templateFile, 'utf8'));
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
