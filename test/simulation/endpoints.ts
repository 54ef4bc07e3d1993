import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_endpoint_v3_ClusterLoadAssignment as ClusterLoadAssignment,
} from '../../src/proto/generated/types.ts';
import { configOf } from './any.ts';
import type { Sidecar } from './sidecar.ts';

/** A host that a cluster may choose, over the cluster that dials it: a member, where the one asked for only fails over. */
export interface Host {
  readonly address: string;
  readonly port: number;
  /** A Unix socket instead of both. */
  readonly socketPath?: string | undefined;
  readonly cluster: Cluster;
  /** Percent of what the cluster is asked for. */
  readonly percent: number;
}

/** Envoy's overprovisioning factor: a priority gets all of the load until fewer than 1/1.4 of its hosts are healthy. */
const OVERPROVISIONING = 1.4;

/**
 * The hosts among which a cluster chooses. The members of an aggregate cluster are priorities: what the healthy part of one cannot take falls to the
 * next. Unhealthy hosts get nothing, because panic is switched off. Empty: no connection comes about.
 */
export function hostsOf(proxy: Sidecar, name: string, original: { readonly address: string; readonly port: number }): Host[] {
  const cluster = proxy.cluster(name);
  if (!cluster) return [];
  const members = configOf(cluster.cluster_type?.typed_config, 'envoy.extensions.clusters.aggregate.v3.ClusterConfig')?.clusters;
  if (!members) return membersHosts(proxy, cluster, original);
  const priorities = members.map((member) => {
    const target = proxy.cluster(member);
    return target ? endpointsOf(proxy, target) : [];
  });
  const levels = priorities.map((endpoints) => (endpoints.length === 0 ? 0 : endpoints.filter(({ healthy }) => healthy).length / endpoints.length));
  const available = Math.min(
    1,
    levels.reduce((sum, level) => sum + Math.min(1, level * OVERPROVISIONING), 0),
  );
  let left = available;
  return members.flatMap((member, index) => {
    const load = Math.min(left, (levels[index] ?? 0) * OVERPROVISIONING);
    left -= load;
    const target = proxy.cluster(member);
    if (!target || load <= 0) return [];
    return membersHosts(proxy, target, original).map((host) => ({ ...host, percent: host.percent * (load / available) }));
  });
}

function membersHosts(proxy: Sidecar, cluster: Cluster, original: { readonly address: string; readonly port: number }): Host[] {
  if (cluster.type === 'ORIGINAL_DST') return [{ ...original, cluster, percent: 100 }];
  const healthy = endpointsOf(proxy, cluster).filter((endpoint) => endpoint.healthy);
  const total = healthy.reduce((sum, { weight }) => sum + weight, 0);
  return healthy.map(({ address, port, socketPath, weight }) => ({ address, port, socketPath, cluster, percent: (weight / total) * 100 }));
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly socketPath: string | undefined;
  readonly healthy: boolean;
  readonly weight: number;
}

function endpointsOf(proxy: Sidecar, cluster: Cluster): Endpoint[] {
  const assignment: ClusterLoadAssignment | undefined = cluster.type === 'EDS' ? proxy.endpoints(cluster.name ?? '') : cluster.load_assignment;
  if (cluster.type === 'EDS' && !assignment) throw new Error(`${proxy.id}: no endpoints for ${cluster.name}, which would wait for them`);
  return (assignment?.endpoints ?? [])
    .flatMap(({ lb_endpoints = [] }) => lb_endpoints)
    .map(({ endpoint, health_status, load_balancing_weight = 1 }) => ({
      address: endpoint?.address?.socket_address?.address ?? '',
      port: endpoint?.address?.socket_address?.port_value ?? 0,
      socketPath: endpoint?.address?.pipe?.path,
      healthy: health_status !== 'UNHEALTHY',
      weight: load_balancing_weight,
    }));
}
