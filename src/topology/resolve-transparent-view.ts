import { isIP } from 'node:net';
import { normalAddress } from '../mesh/check/address.ts';
import { instanceKey, reachableAddress } from '../mesh/instance.ts';
import { parseInstanceFilter } from '../mesh/instance-filter/instance-filter.ts';
import { serviceSpiffeId } from '../mesh/spiffe-id.ts';
import { query } from '../query/query-store.ts';
import { resolveDeniedRanges } from './denied-ranges.ts';
import { destinationServices } from './destinations.ts';
import type { ChainTarget } from './discovery-chain/chain.ts';
import { endpointsOf } from './endpoints.ts';
import { directlyDialedInstancesOf, meshInstancesOf } from './mesh-instances.ts';
import { meshSettings } from './mesh-settings.ts';
import { serviceSni } from './names.ts';
import type { DestinationView, DirectDial, TransparentView, UpstreamView } from './proxy-view.ts';
import type { Topology } from './topology.ts';
import type { OutboundRequest } from './upstreams.ts';
import { virtualAddressOwner } from './virtual-address-owners.ts';
import { isVirtualIp } from './virtual-ips.ts';

export function resolveTransparentView(topology: Topology, request: OutboundRequest, upstreams: readonly UpstreamView[]): TransparentView {
  const directDials = resolveDirectDials(topology, upstreams);
  const destinations = destinationsOf(topology, request.service);
  const reachable = new Set([
    ...upstreams.flatMap(({ virtualAddresses }) => virtualAddresses),
    ...directDials.flatMap(({ addresses }) => addresses),
    ...destinations.flatMap(({ addresses }) => addresses),
  ]);
  return {
    outboundPort: request.outboundPort,
    directDials,
    destinations,
    deniedRanges: resolveDeniedRanges(topology, request, reachable),
    passOthersOn: !meshSettings(topology).destinationsOnly,
  };
}

/** An instance that callers dial by its own address. */
interface DialedInstance {
  readonly address: string;
  readonly instance: string;
}

/** Two services may claim one address; as in Consul the instance that was written last has it. */
function resolveDirectDials(topology: Topology, upstreams: readonly UpstreamView[]): DirectDial[] {
  const owners = new Map<string, { readonly target: ChainTarget; readonly instance: string }>();
  for (const target of localTargets(topology, upstreams)) {
    for (const { address, instance } of dialedInstancesOf(topology, target.service, target.subset.filter, target.transparent_proxy.dialed_directly)) {
      if (meansAnother(topology, target.service, address)) continue;
      const owner = owners.get(address);
      if (!owner || isLater(topology, address, instance, owner.instance)) owners.set(address, { target, instance });
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
  const owner = virtualAddressOwner(topology, normal);
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

/** Those of a target's instances that are dialed directly: all of them where the target says so, else those whose own settings do. */
const dialedInstancesOf = query(
  'directly dialed instances of a target',
  (topology: Topology, service: string, filter: string, all: boolean): readonly DialedInstance[] =>
    (all ? meshInstancesOf(topology, service) : directlyDialedInstancesOf(topology, service))
      .filter(parseInstanceFilter(filter).matches)
      .map((instance) => ({ address: reachableAddress(instance), instance: instanceKey(instance) }))
      .filter(({ address }) => isIP(address) !== 0),
);

function isLater(topology: Topology, address: string, one: string, other: string): boolean {
  const order = topology.meshInstancesAt(address).map(instanceKey);
  return order.indexOf(one) > order.indexOf(other);
}

const destinationsOf = query('destinations of a caller', (topology: Topology, caller: string): readonly DestinationView[] =>
  [...destinationServices(topology).values()]
    .filter(({ service }) => topology.intentions.mayCall(caller, service))
    .map((destination) => ({
      ...destination,
      addresses: destination.addresses.filter((address) => !meansAnother(topology, destination.service, address)),
      spiffeId: serviceSpiffeId(destination.service, topology),
      endpoints: endpointsOf(topology, destination.service, '', false),
    }))
    .sort((a, b) => (a.service < b.service ? -1 : 1)),
);
