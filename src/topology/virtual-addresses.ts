import { isIP } from 'node:net';
import type { Topology } from './topology.ts';

/**
 * Every address that means a service and not one of its instances: its own virtual IP, those managed outside, and what its
 * instances are tagged with (`virtual` is the cluster IP that Kubernetes gives a service). Sorted, each once.
 */
export function virtualAddressesOf(topology: Topology, service: string): readonly string[] {
  return topology.once(`virtual-addresses/${service}`, () => {
    const tagged = topology
      .meshInstancesOf(service)
      .flatMap(({ kind, taggedAddresses }) =>
        kind === 'terminating-gateway' ? [taggedAddresses[`consul-virtual:${service}`]?.address] : [taggedAddresses.virtual?.address],
      );
    const addresses = [topology.virtualIpOf(service), ...(topology.mesh.manualVirtualIps.get(service) ?? []), ...tagged];
    return [...new Set(addresses)].filter((address): address is string => address !== undefined && isIP(address) !== 0).sort();
  });
}
