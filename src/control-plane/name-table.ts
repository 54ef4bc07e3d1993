import type { NamedInstance, NameTable } from '../dns/name-table.ts';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import type { Topology } from '../topology/topology.ts';
import { virtualAddressesOf } from '../topology/virtual-addresses.ts';

const nothing: NameTable = { virtualAddresses: () => undefined, instances: () => undefined, proxies: () => undefined };

/** What DNS may answer, from the mesh being served. Made once per topology: DNS asks for it at each query. */
export function nameTableOf(topology: Topology | undefined): NameTable {
  return topology ? topology.once('name-table', () => buildNameTable(topology)) : nothing;
}

function buildNameTable(topology: Topology): NameTable {
  const byLowerCase = new Map<string, Instance[]>();
  for (const instance of topology.mesh.instances) {
    const key = instance.service.toLowerCase();
    const same = byLowerCase.get(key);
    if (same) same.push(instance);
    else byLowerCase.set(key, [instance]);
  }
  const services = new Map([...topology.callableServices].map((service) => [service.toLowerCase(), service]));
  return {
    virtualAddresses(name) {
      const service = services.get(name);
      const addresses = service === undefined ? [] : virtualAddressesOf(topology, service);
      return addresses.length > 0 ? addresses : undefined;
    },
    instances: (name) => byLowerCase.get(name)?.map(namedInstance) ?? (services.has(name) ? [] : undefined),
    proxies(name) {
      const service = services.get(name);
      return service === undefined ? undefined : topology.meshInstancesOf(service).map(namedInstance);
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
