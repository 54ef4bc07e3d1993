import { checkReferences } from '../../mesh/check-references.ts';
import type { Instance } from '../../mesh/instance.ts';
import { ConfigEntries, type Mesh } from '../../mesh/mesh.ts';
import type { Problem } from '../../mesh/problem.ts';
import type { ConfigEntry } from '../../mesh/schema/config-entry.ts';
import { respellKeys, withOneSpelling } from '../../mesh/service-names.ts';
import { checkExposedChecks } from './check-exposed.ts';
import type { ConsulCluster, ConsulRoots } from './consul-readings.ts';
import type { ServiceVirtualIps } from './virtual-ip-reader.ts';

export interface ConsulMeshParts {
  readonly cluster: ConsulCluster;
  readonly roots: ConsulRoots;
  readonly instances: readonly Instance[];
  readonly entries: readonly ConfigEntry[];
  readonly virtualIps: ReadonlyMap<string, ServiceVirtualIps>;
  /** Defects met on the way. */
  readonly problems: readonly Problem[];
}

/** The mesh that Consul holds. What Consul has accepted is served, whatever adsum thinks of it; defects are told beside it. */
export function assembleConsulMesh({ cluster, roots, virtualIps, problems, ...written }: ConsulMeshParts): Mesh {
  const { serviceNames, instances, entries } = withOneSpelling(written.instances, written.entries);
  const configEntries = new ConfigEntries(entries);
  const pinned = new Map<string, string>();
  const manual = new Map<string, readonly string[]>();
  for (const [name, addresses] of virtualIps) {
    const [first] = addresses.automatic;
    if (first !== undefined) pinned.set(name, first);
    if (addresses.manual.length > 0) manual.set(name, addresses.manual);
  }
  return {
    datacenter: cluster.datacenter,
    trustDomain: roots.trustDomain,
    defaultIntentionPolicy: cluster.defaultIntentionPolicy,
    instances,
    configEntries,
    pinnedVirtualIps: respellKeys(pinned, serviceNames),
    manualVirtualIps: respellKeys(manual, serviceNames),
    serviceNames,
    problems: [...problems, ...checkExposedChecks(instances, entries), ...checkReferences({ configEntries, instances })],
  };
}
