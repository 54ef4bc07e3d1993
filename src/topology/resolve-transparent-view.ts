import { isIP } from 'node:net';
import { normalAddress } from '../mesh/check/address.ts';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import { parseInstanceFilter } from '../mesh/instance-filter/instance-filter.ts';
import { serviceSpiffeId } from '../mesh/spiffe-id.ts';
import { resolveDeniedRanges } from './denied-ranges.ts';
import type { ChainTarget } from './discovery-chain/chain.ts';
import { resolveEndpoints } from './endpoints.ts';
import type { MeshSettings } from './mesh-settings.ts';
import { serviceSni } from './names.ts';
import type { ProxySettings } from './proxy-settings.ts';
import type { DestinationView, DirectDial, TransparentView, UpstreamView } from './proxy-view.ts';
import type { Topology } from './topology.ts';
import { isVirtualIp } from './virtual-ips.ts';

export function resolveTransparentView(
  topology: Topology,
  proxy: Instance,
  settings: ProxySettings,
  mesh: MeshSettings,
  upstreams: readonly UpstreamView[],
): TransparentView {
  const directDials = resolveDirectDials(topology, upstreams);
  const destinations = resolveDestinations(topology, proxy.proxy?.destination_service_name ?? '');
  const reachable = new Set([
    ...upstreams.flatMap(({ virtualAddresses }) => virtualAddresses),
    ...directDials.flatMap(({ addresses }) => addresses),
    ...destinations.flatMap(({ addresses }) => addresses),
  ]);
  return {
    outboundPort: settings.outboundListenerPort,
    directDials,
    destinations,
    deniedRanges: resolveDeniedRanges(topology, proxy, reachable),
    passOthersOn: !mesh.destinationsOnly,
    problems: [],
  };
}

/** Two services may claim one address; as in Consul the instance that was written last has it. */
function resolveDirectDials(topology: Topology, upstreams: readonly UpstreamView[]): DirectDial[] {
  const owners = new Map<string, { target: ChainTarget; order: number }>();
  for (const target of localTargets(topology, upstreams)) {
    for (const instance of directlyDialedInstances(topology, target)) {
      const address = reachableAddress(instance);
      if (meansAnother(topology, target.service, address)) continue;
      const order = topology.orderOf(instance);
      const owner = owners.get(address);
      if (isIP(address) !== 0 && (!owner || owner.order < order)) owners.set(address, { target, order });
    }
  }
  const byTarget = new Map<string, DirectDial>();
  for (const [address, { target }] of [...owners].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { id, service } = target;
    const known = byTarget.get(id) ?? {
      service,
      sni: serviceSni(service, undefined, topology),
      spiffeId: serviceSpiffeId(service, topology),
      connectTimeoutMs: target.connect_timeout_ms,
      addresses: [],
    };
    byTarget.set(id, { ...known, addresses: [...known.addresses, address] });
  }
  return [...byTarget].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, dial]) => dial);
}

/** A virtual address of one service takes no other service's traffic there. */
function meansAnother(topology: Topology, service: string, address: string): boolean {
  if (isIP(address) === 0) return false;
  const normal = normalAddress(address);
  const owner = topology.virtualAddressOwner(normal);
  return owner === undefined ? isVirtualIp(normal) : owner !== service;
}

function localTargets(topology: Topology, upstreams: readonly UpstreamView[]): ChainTarget[] {
  const targets = new Map<string, ChainTarget>();
  for (const { route } of upstreams) {
    if (route.type !== 'chain') continue;
    for (const target of route.chain.targets.values()) {
      if (target.datacenter === topology.datacenter && !targets.has(target.id)) targets.set(target.id, target);
    }
  }
  return [...targets.values()];
}

function directlyDialedInstances(topology: Topology, target: ChainTarget): Instance[] {
  const filter = parseInstanceFilter(target.subset.filter);
  return topology
    .meshInstancesOf(target.service)
    .filter((instance) => target.transparent_proxy.dialed_directly || topology.settingsOf(instance).dialedDirectly)
    .filter(filter.matches);
}

function resolveDestinations(topology: Topology, self: string): readonly DestinationView[] {
  return topology.once(`destinations/${self}`, () =>
    [...topology.destinations.values()]
      .filter(({ service }) => topology.intentions.mayCall(self, service))
      .map((destination) => ({
        ...destination,
        addresses: destination.addresses.filter((address) => !meansAnother(topology, destination.service, address)),
        spiffeId: serviceSpiffeId(destination.service, topology),
        endpoints: resolveEndpoints(topology.meshInstancesOf(destination.service), false),
      }))
      .sort((a, b) => (a.service < b.service ? -1 : 1)),
  );
}
