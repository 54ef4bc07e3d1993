import type { Protocol } from '../mesh/service-protocol.ts';
import { query } from '../query/query-store.ts';
import { parseProtocol } from './proxy-tuning.ts';
import type { Topology } from './topology.ts';

/** A name for addresses outside the mesh, reached through a terminating gateway. */
export interface DestinationService {
  readonly service: string;
  readonly protocol: Protocol;
  /** IP addresses or host names. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Services whose service-defaults have a `destination`, by name. */
export const destinationServices = query('destinations', (topology: Topology): ReadonlyMap<string, DestinationService> => {
  const global = topology.entries.get('proxy-defaults', 'global');
  const fallback = parseProtocol(global?.config?.protocol) ?? global?.protocol ?? 'tcp';
  return new Map(
    topology.entriesOfKind('service-defaults').flatMap(({ name, protocol, destination }) => {
      if (!destination || destination.addresses.length === 0) return [];
      const service: DestinationService = { service: name, protocol: protocol ?? fallback, addresses: destination.addresses, port: destination.port ?? 0 };
      return [[name, service] as const];
    }),
  );
});
