import type { Mesh } from '../../mesh/mesh.ts';
import type { Problem } from '../../mesh/problem.ts';
import { assembleConsulMesh } from './assemble-consul-mesh.ts';
import type { RawCheck, RawNode } from './catalog.ts';
import { type CatalogInstances, CatalogReader } from './catalog-reader.ts';
import { ConfigEntryReader, type ReadEntries } from './config-entry-reader.ts';
import type { ConsulCluster, ConsulReadings, ConsulRoots } from './consul-readings.ts';
import type { ServiceVirtualIps } from './virtual-ip-reader.ts';

export interface BuilderInput {
  readonly cluster: ConsulCluster;
  readonly roots: ConsulRoots;
  readonly catalog: CatalogInstances;
  readonly entries: ReadEntries;
  readonly virtualIps: ReadonlyMap<string, ServiceVirtualIps>;
  /** Defects met elsewhere. */
  readonly problems?: readonly Problem[];
}

/** Makes meshes out of readings, and tells which differ. */
export class ConsulMeshBuilder {
  readonly #catalog = new CatalogReader();
  readonly #entries = new ConfigEntryReader();
  #last: { readonly parts: readonly unknown[]; readonly rest: string } | undefined;

  read(nodes: readonly RawNode[], failing: readonly RawCheck[], entries: readonly unknown[]): { catalog: CatalogInstances; entries: ReadEntries } {
    return { catalog: this.#catalog.read(nodes, failing), entries: this.#entries.read(entries) };
  }

  /** Undefined when it would be the same mesh again. */
  build({ cluster, roots, catalog, entries, virtualIps, problems: others = [] }: BuilderInput): Mesh | undefined {
    const parts = [...catalog.instances, ...entries.entries];
    const rest = JSON.stringify([cluster, roots, [...virtualIps], others]);
    if (this.#last?.rest === rest && sameItems(this.#last.parts, parts)) return undefined;
    this.#last = { parts, rest };
    const problems = [...catalog.problems, ...entries.problems, ...others];
    return assembleConsulMesh({ cluster, roots, instances: catalog.instances, entries: entries.entries, virtualIps, problems });
  }
}

/** The mesh of an earlier run. */
export function meshOfReadings(readings: ConsulReadings): Mesh | undefined {
  const builder = new ConsulMeshBuilder();
  const { cluster, roots } = readings;
  return builder.build({
    cluster,
    roots,
    virtualIps: new Map(Object.entries(readings.virtualIps)),
    ...builder.read(readings.nodes, readings.failing, readings.entries),
  });
}

function sameItems(before: readonly unknown[], now: readonly unknown[]): boolean {
  return before.length === now.length && before.every((item, at) => item === now[at]);
}
