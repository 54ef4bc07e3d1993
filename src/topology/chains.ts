import { query } from '../query/query-store.ts';
import type { ChainOverrides } from './discovery-chain/chain.ts';
import { type ChainResult, compileDiscoveryChain } from './discovery-chain/compile.ts';
import type { Topology } from './topology.ts';

/** The discovery chain of a service as seen from a datacenter, compiled once for all callers that set the same. */
export const chainOf = query(
  'discovery chain',
  (topology: Topology, service: string, datacenter: string, overrides: ChainOverrides): ChainResult =>
    compileDiscoveryChain({ service, entries: topology.entries, datacenter, trustDomain: topology.trustDomain, overrides }),
);
