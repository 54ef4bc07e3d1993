import { isIP } from 'node:net';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import type { Topology } from './topology.ts';
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
export function resolveDeniedRanges(topology: Topology, proxy: Instance, reachable: ReadonlySet<string>): AddressRange[] {
  const self = proxy.proxy?.destination_service_name ?? '';
  const own = new Set([proxy.nodeAddress, proxy.address, ...virtualAddressesOf(topology, self), ...topology.meshInstancesOf(self).map(reachableAddress)]);
  const denied = new Set([...topology.outsideVirtualAddresses, ...topology.directlyDialedAddresses]);
  const singles = [...denied]
    .filter((address) => !reachable.has(address) && !own.has(address))
    .sort()
    .map((address) => ({ address, prefixLength: isIP(address) === 6 ? 128 : 32 }));
  return [VIRTUAL_IP_RANGE, ...singles];
}

/** All virtual addresses of a mesh that are not in the range of virtual IPs, also those that mean nobody. */
export function outsideVirtualAddresses(topology: Topology): readonly string[] {
  return topology.virtualAddresses.filter((address) => !isVirtualIp(address));
}

/** Host names cannot be captured. */
export function directlyDialedAddresses(instances: readonly Instance[]): readonly string[] {
  return instances.map(reachableAddress).filter((address) => isIP(address) !== 0);
}
