import { type Health, type Instance, reachableAddress } from '../mesh/instance.ts';
import { parseInstanceFilter } from '../mesh/instance-filter/instance-filter.ts';
import { query } from '../query/query-store.ts';
import { meshInstancesOf } from './mesh-instances.ts';
import type { Topology } from './topology.ts';

/** Where connections to a target go. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly healthy: boolean;
  /** 1 to 128, Envoy's range for one endpoint in Consul's use of it. */
  readonly weight: number;
}

const LARGEST_WEIGHT = 128;

/** The endpoints of those instances of a service that a filter wants; an empty filter wants all. */
export const endpointsOf = query('endpoints', (topology: Topology, service: string, filter: string, onlyPassing: boolean): readonly Endpoint[] =>
  resolveEndpoints(meshInstancesOf(topology, service).filter(parseInstanceFilter(filter).matches), onlyPassing),
);

/**
 * Critical instances are listed as unhealthy rather than left out, so that Envoy closes what it has open to them; so are those in
 * warning where only passing ones are wanted. The weight is that of the instance that is dialed, the sidecar's.
 */
export function resolveEndpoints(instances: readonly Instance[], onlyPassing: boolean): Endpoint[] {
  return instances
    .map((instance) => ({
      address: reachableAddress(instance),
      port: instance.port,
      healthy: isHealthy(instance.health, onlyPassing),
      weight: clampWeight(instance.health === 'warning' ? instance.weights.warning : instance.weights.passing),
    }))
    .sort(byAddressAndPort);
}

function isHealthy(health: Health, onlyPassing: boolean): boolean {
  return health === 'passing' || (health === 'warning' && !onlyPassing);
}

function clampWeight(weight: number): number {
  return Math.min(Math.max(weight, 1), LARGEST_WEIGHT);
}

function byAddressAndPort(a: Endpoint, b: Endpoint): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.port - b.port;
}
