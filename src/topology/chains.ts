import type { ChainOverrides } from './discovery-chain/chain.ts';
import { type ChainResult, compileDiscoveryChain } from './discovery-chain/compile.ts';
import type { Topology } from './topology.ts';

/** The discovery chain of a service as seen from a datacenter, compiled once for all callers that set the same. */
export function chainOf(topology: Topology, service: string, datacenter: string, overrides: ChainOverrides): ChainResult {
  const { protocol = '', connect_timeout_ms = '', mesh_gateway_mode = '' } = overrides;
  return topology.once(`chain/${service}/${datacenter}/${protocol}/${connect_timeout_ms}/${mesh_gateway_mode}`, () =>
    compileDiscoveryChain({ service, entries: topology.mesh.configEntries, datacenter, trustDomain: topology.trustDomain, overrides }),
  );
}
