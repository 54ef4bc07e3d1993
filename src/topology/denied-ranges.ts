import { isIP } from 'node:net';
import type { Instance } from '../mesh/instance.ts';
import { query } from '../query/query-store.ts';
import { directlyDialedAddresses, meshAddressesOf } from './mesh-instances.ts';
import type { Topology } from './topology.ts';
import { contestedAddresses } from './virtual-address-owners.ts';
import { virtualAddressesOf } from './virtual-addresses.ts';
import { isVirtualIp } from './virtual-ips.ts';

export interface AddressRange {
  readonly address: string;
  readonly prefixLength: number;
}

/** Where virtual IPs are handed out: nothing in it exists outside the mesh, so what is not allowed there is refused. */
const VIRTUAL_IP_RANGE: AddressRange = { address: '240.0.0.0', prefixLength: 4 };

/**
 * What this proxy refuses at once instead of passing it on: virtual addresses that it may not reach, which would be a black hole,
 * and instances dialed directly that it may not call, whom it would otherwise send plaintext. `reachable` addresses have chains of
 * their own; more specific ones win, so the range of all virtual IPs may stand beside them.
 *
 * Its own host and the other instances of its own service are never refused: no chain could lead there, and clusters of one service
 * talk among themselves on ports that are kept out of the mesh.
 */
export function resolveDeniedRanges(
  topology: Topology,
  { service, ownAddresses }: { readonly service: string; readonly ownAddresses: readonly string[] },
  reachable: ReadonlySet<string>,
): AddressRange[] {
  const own = new Set([...ownAddresses, ...virtualAddressesOf(topology, service), ...meshAddressesOf(topology, service)]);
  const singles = deniedAddresses(topology)
    .filter((address) => !reachable.has(address) && !own.has(address))
    .map((address) => ({ address, prefixLength: isIP(address) === 6 ? 128 : 32 }));
  return [VIRTUAL_IP_RANGE, ...singles];
}

/** Every address that a proxy is denied unless it may reach it: virtual ones outside the range of virtual IPs, and directly dialed ones. Sorted. */
const deniedAddresses = query('denied addresses', (topology: Topology): readonly string[] => {
  const services = new Set([...topology.callableServices, ...topology.servicesWithManualVirtualIps]);
  const outside = [...services].flatMap((service) => outsideVirtualAddressesOf(topology, service));
  return [...new Set([...outside, ...contestedAddresses(topology), ...directlyDialedAddresses(topology)])].sort();
});

const outsideVirtualAddressesOf = query('virtual addresses outside the range', (topology: Topology, service: string): readonly string[] =>
  virtualAddressesOf(topology, service).filter((address) => !isVirtualIp(address)),
);

/** Those of a host's own addresses that would be denied to it otherwise. Sorted. Most hosts have none. */
export function ownDeniedAddresses(topology: Topology, { nodeAddress, address }: Instance): readonly string[] {
  const denied = deniedAddressSet(topology);
  return [...new Set([nodeAddress, address])].filter((own) => denied.has(own)).sort();
}

const deniedAddressSet = query('denied addresses as a set', (topology: Topology): ReadonlySet<string> => new Set(deniedAddresses(topology)));
