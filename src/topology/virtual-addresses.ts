import { isIP } from 'node:net';
import { normalAddress } from '../mesh/check/address.ts';
import type { Topology } from './topology.ts';
import { virtualTagOf } from './virtual-address-owners.ts';

/**
 * Every address that means a service and not one of its instances: its own virtual IP, those managed outside, and what its
 * instances are tagged with (`virtual` is the cluster IP that Kubernetes gives a service). Sorted, each once; only those that are its own.
 */
export function virtualAddressesOf(topology: Topology, service: string): readonly string[] {
  return topology.once(`virtual-addresses/${service}`, () => {
    const tagged = topology.meshInstancesOf(service).map((instance) => instance.taggedAddresses[virtualTagOf(service, instance)]?.address);
    const claimed = [topology.virtualIpOf(service), ...(topology.mesh.manualVirtualIps.get(service) ?? []), ...tagged];
    const addresses = claimed.filter((address): address is string => address !== undefined && isIP(address) !== 0).map(normalAddress);
    return [...new Set(addresses)].filter((address) => topology.virtualAddressOwner(address) === service).sort();
  });
}
