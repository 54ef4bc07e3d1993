import { isIP } from 'node:net';
import { normalAddress } from '../mesh/check/address.ts';
import { query } from '../query/query-store.ts';
import type { Topology } from './topology.ts';
import { taggedAddressesOf, virtualAddressOwner } from './virtual-address-owners.ts';

/**
 * Every address that means a service and not one of its instances: its own virtual IP, those managed outside, and what its
 * instances are tagged with (`virtual` is the cluster IP that Kubernetes gives a service). Sorted, each once; only those that are its own.
 */
export const virtualAddressesOf = query('virtual addresses', (topology: Topology, service: string): readonly string[] => {
  const own = topology.virtualIpOf(service);
  const given = [...(own === undefined ? [] : [own]), ...topology.manualVirtualIpsOf(service)].filter((address) => isIP(address) !== 0).map(normalAddress);
  const claimed = taggedAddressesOf(topology, service).map(({ address }) => address);
  return [...new Set([...given, ...claimed])].filter((address) => virtualAddressOwner(topology, address) === service).sort();
});
