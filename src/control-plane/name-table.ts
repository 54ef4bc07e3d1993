import type { NamedInstance, NameTable } from '../dns/name-table.ts';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import type { MeshTopology } from '../topology/build-topology.ts';
import { meshInstancesOf } from '../topology/mesh-instances.ts';
import { virtualAddressesOf } from '../topology/virtual-addresses.ts';

const nothing: NameTable = { virtualAddresses: () => undefined, instances: () => undefined, proxies: () => undefined };

/** What DNS may answer, from the mesh that is served at the moment. Undefined topology: none is yet. */
export function createNameTable(topologyNow: () => MeshTopology | undefined): () => NameTable {
  let known: { readonly topology: MeshTopology; readonly table: NameTable } | undefined;
  return () => {
    const topology = topologyNow();
    if (!topology) return nothing;
    if (known?.topology !== topology) known = { topology, table: nameTableOf(topology) };
    return known.table;
  };
}

function nameTableOf(topology: MeshTopology): NameTable {
  // Names of services in lower case, as DNS asks. Kept until the list of services changes.
  const names = topology.store.watch(
    () => new Map(topology.callableServices.map((service) => [service.toLowerCase(), service])),
    () => {},
  );
  return {
    virtualAddresses(name) {
      const service = names.get().get(name);
      const addresses = service === undefined ? [] : virtualAddressesOf(topology, service);
      return addresses.length > 0 ? addresses : undefined;
    },
    instances(name) {
      const instances = topology.instancesNamed(name);
      return instances.length > 0 || names.get().has(name) ? instances.map(namedInstance) : undefined;
    },
    proxies(name) {
      const service = names.get().get(name);
      return service === undefined ? undefined : meshInstancesOf(topology, service).map(namedInstance);
    },
  };
}

function namedInstance(instance: Instance): NamedInstance {
  return {
    address: reachableAddress(instance),
    port: instance.port,
    node: instance.node,
    weight: instance.health === 'warning' ? instance.weights.warning : instance.weights.passing,
    health: instance.health,
    tags: instance.tags,
  };
}
