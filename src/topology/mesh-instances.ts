import { isIP } from 'node:net';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import { query } from '../query/query-store.ts';
import { resolveProxySettings } from './proxy-settings.ts';
import type { Topology } from './topology.ts';

/** The instances that accept mutual TLS for a service: its sidecars, Connect-native instances, terminating gateways. In the order of writing. */
export const meshInstancesOf = query('mesh instances', (topology: Topology, service: string): readonly Instance[] => {
  const gateways = gatewaysOf(topology, service);
  const own = topology.ownMeshInstancesOf(service);
  return gateways.length > 0 ? [...own, ...gateways] : own;
});

/** The terminating gateways that stand for a service; `*` in a gateway's entry means every service without a way into the mesh. */
function gatewaysOf(topology: Topology, service: string): readonly Instance[] {
  return topology.terminatingGateways.filter((gateway) => {
    const linked = topology.entries.get('terminating-gateway', gateway.service)?.services.map(({ name }) => name) ?? [];
    if (linked.includes(service)) return true;
    return linked.includes('*') && topology.instancesOf(service).length > 0 && topology.ownMeshInstancesOf(service).length === 0;
  });
}

/** Those whose own settings say that callers dial them by their own addresses. */
export const directlyDialedInstancesOf = query('directly dialed instances', (topology: Topology, service: string): readonly Instance[] =>
  meshInstancesOf(topology, service).filter((instance) => resolveProxySettings(topology.entries, instance).dialedDirectly),
);

/** Addresses of all sidecars that are dialed directly. Host names are left out: they cannot be captured. */
export const directlyDialedAddresses = query('directly dialed addresses', (topology: Topology): readonly string[] =>
  topology.meshServices.flatMap((service) => directlyDialedAddressesOf(topology, service)),
);

const directlyDialedAddressesOf = query('directly dialed addresses of a service', (topology: Topology, service: string): readonly string[] =>
  directlyDialedInstancesOf(topology, service)
    .filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy !== undefined)
    .map(reachableAddress)
    .filter((address) => isIP(address) !== 0),
);

/** Addresses of a service's instances, as others reach them. */
export const meshAddressesOf = query('mesh addresses', (topology: Topology, service: string): readonly string[] =>
  meshInstancesOf(topology, service).map(reachableAddress),
);
