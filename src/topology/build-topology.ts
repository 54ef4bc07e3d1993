import type { Instance } from '../mesh/instance.ts';
import type { Mesh } from '../mesh/mesh.ts';
import { directlyDialedAddresses, outsideVirtualAddresses } from './denied-ranges.ts';
import { destinationServices } from './destinations.ts';
import { buildIntentionIndex } from './intentions.ts';
import { type ProxySettings, resolveProxySettings } from './proxy-settings.ts';
import type { Topology, TopologyFacts } from './topology.ts';
import { resolveVirtualAddressOwners } from './virtual-address-owners.ts';

export function buildTopology(mesh: Mesh, facts: TopologyFacts): Topology {
  const byId = groupBy(mesh.instances, (instance) => [instance.id]);
  const byService = groupBy(mesh.instances, (instance) => (instance.kind === '' ? [instance.service] : []));
  const destinations = destinationServices(mesh);
  const gatewaysOf = linkedGateways(mesh, byService);
  const meshInstances = groupBy(mesh.instances, meshServicesOf);
  const order = new Map(mesh.instances.map((instance, index) => [instance, index]));
  const settings = new Map<Instance, ProxySettings>();
  const results = new Map<string, unknown>();

  const once = <Value>(key: string, compute: () => Value): Value => {
    if (!results.has(key)) results.set(key, compute());
    return results.get(key) as Value;
  };
  const settingsOf = (proxy: Instance): ProxySettings => {
    const known = settings.get(proxy);
    if (known) return known;
    const resolved = resolveProxySettings(mesh, proxy);
    settings.set(proxy, resolved);
    return resolved;
  };

  const intentions = buildIntentionIndex(mesh.configEntries.ofKind('service-intentions'), mesh.defaultIntentionPolicy);
  const callableServices = new Set([...byService.keys(), ...facts.virtualIps.keys()]);
  const directlyDialed = (instance: Instance) => instance.proxy !== undefined && settingsOf(instance).dialedDirectly;

  const owners = () =>
    once('virtual-address-owners', () => {
      const services = new Set([...callableServices, ...mesh.manualVirtualIps.keys()]);
      return resolveVirtualAddressOwners(mesh, facts.virtualIps, services, topology.meshInstancesOf);
    });

  const topology: Topology = {
    mesh,
    datacenter: mesh.datacenter,
    trustDomain: facts.trustDomain,
    intentions,
    callableServices,
    callableBy: (source) => once(`callable-by/${source}`, () => intentions.destinationsOf(source, callableServices)),
    destinations,
    virtualIpOf: (service) => facts.virtualIps.get(service),
    virtualAddressOwner: (address) => owners().owners.get(address),
    get virtualAddresses() {
      return [...owners().owners.keys()];
    },
    get virtualAddressProblems() {
      return owners().problems;
    },
    get outsideVirtualAddresses() {
      return once('outside-virtual-addresses', () => outsideVirtualAddresses(topology));
    },
    get directlyDialedAddresses() {
      return once('directly-dialed-addresses', () => directlyDialedAddresses([...meshInstances.values()].flat().filter(directlyDialed)));
    },
    meshInstancesOf: (service) => once(`mesh-instances/${service}`, () => [...(meshInstances.get(service) ?? []), ...gatewaysOf(service)]),
    instancesOf: (service) => byService.get(service) ?? [],
    instancesById: (id) => byId.get(id) ?? [],
    settingsOf,
    orderOf: (instance) => order.get(instance) ?? -1,
    once,
  };
  return topology;
}

function meshServicesOf(instance: Instance): string[] {
  if (instance.kind === 'connect-proxy' && instance.proxy) return [instance.proxy.destination_service_name];
  return instance.connectNative ? [instance.service] : [];
}

/** Which terminating gateways stand for a service; `*` in a gateway's entry means every service without a way into the mesh. */
function linkedGateways(mesh: Mesh, byService: ReadonlyMap<string, Instance[]>): (service: string) => Instance[] {
  const inMesh = new Set(mesh.instances.flatMap(meshServicesOf));
  const links = new Map(
    mesh.configEntries.ofKind('terminating-gateway').map((entry) => [entry.name, new Set(entry.services.map(({ name }) => name))] as const),
  );
  const gateways = mesh.instances.filter(({ kind, service }) => kind === 'terminating-gateway' && links.has(service));
  return (service) =>
    gateways.filter((gateway) => {
      const linked = links.get(gateway.service);
      return linked?.has(service) || (linked?.has('*') && byService.has(service) && !inMesh.has(service));
    });
}

function groupBy<Item>(items: readonly Item[], keysOf: (item: Item) => readonly string[]): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    for (const key of keysOf(item)) {
      const group = groups.get(key);
      if (group) group.push(item);
      else groups.set(key, [item]);
    }
  }
  return groups;
}
