import type { Mesh } from '../mesh/mesh.ts';
import { type Protocol, parseProtocol } from './proxy-settings.ts';

/** A name for addresses outside the mesh, reached through a terminating gateway. */
export interface DestinationService {
  readonly service: string;
  readonly protocol: Protocol;
  /** IP addresses or host names. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Services whose service-defaults have a `destination`. */
export function destinationServices(mesh: Mesh): ReadonlyMap<string, DestinationService> {
  const global = mesh.configEntries.get('proxy-defaults', 'global');
  const fallback = parseProtocol(global?.config?.protocol) ?? global?.protocol ?? 'tcp';
  return new Map(
    mesh.configEntries.ofKind('service-defaults').flatMap(({ name, protocol, destination }) => {
      if (!destination || destination.addresses.length === 0) return [];
      const service: DestinationService = { service: name, protocol: protocol ?? fallback, addresses: destination.addresses, port: destination.port ?? 0 };
      return [[name, service] as const];
    }),
  );
}
