import { serviceSpiffeId } from '../mesh/spiffe-id.ts';
import type { envoy_config_cluster_v3_Cluster as Cluster } from '../proto/generated/types.ts';
import type { Endpoint } from '../topology/endpoints.ts';
import { preparedQuerySni } from '../topology/names.ts';
import type { UpstreamView } from '../topology/proxy-view.ts';
import { type ChainTargetCluster, chainClusters } from './chain-cluster.ts';
import { buildEndpointAssignment } from './endpoint-assignment.ts';
import type { BuildContext, EnvoyResource } from './resource.ts';
import { buildFailoverCluster, buildUpstreamCluster } from './upstream-cluster.ts';

/** Consul's default for connections to upstreams. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** The clusters of one upstream. Where their instances are is built apart, see `endpointTargets`. */
export function buildUpstreamClusters(context: BuildContext, upstream: UpstreamView): EnvoyResource<Cluster>[] {
  const { route } = upstream;
  if (route.type === 'prepared-query') return [clusterResource(preparedQueryCluster(context, upstream))];
  return chainClusters(route.chain).map((cluster) =>
    clusterResource(
      cluster.type === 'failover' ? buildFailoverCluster(cluster.name, cluster.members, cluster.connectTimeoutMs) : targetCluster(context, upstream, cluster),
    ),
  );
}

/** A cluster that is fed by EDS, and the ID of the target whose instances it holds. Undefined: a prepared query, whose instances are not known. */
export interface EndpointTarget {
  readonly cluster: string;
  readonly target: string | undefined;
}

export function endpointTargets(context: BuildContext, { service, route }: UpstreamView): EndpointTarget[] {
  if (route.type === 'prepared-query') return [{ cluster: preparedQuerySni(service, context), target: undefined }];
  return chainClusters(route.chain).flatMap((cluster) => (cluster.type === 'target' ? [{ cluster: cluster.name, target: cluster.target.id }] : []));
}

/** Where the instances of a cluster are. */
export function endpointResource(cluster: string, endpoints: readonly Endpoint[] | undefined): EnvoyResource {
  return { type: 'endpoint', name: cluster, body: buildEndpointAssignment(cluster, endpoints) };
}

function targetCluster(context: BuildContext, { protocol, settings }: UpstreamView, cluster: ChainTargetCluster): Cluster {
  const { name, target, connectTimeoutMs, loadBalancer } = cluster;
  return buildUpstreamCluster({
    name,
    sni: target.sni,
    spiffeIds: [serviceSpiffeId(target.service, { datacenter: target.datacenter, trustDomain: context.trustDomain })],
    connectTimeoutMs,
    protocol,
    settings,
    loadBalancer,
    tls: context.mesh.outgoingTls,
  });
}

/** Prepared queries live in a Consul; without one they have no instances. */
function preparedQueryCluster(context: BuildContext, { service, protocol, settings }: UpstreamView): Cluster {
  const name = preparedQuerySni(service, context);
  const connectTimeoutMs = settings.connect_timeout_ms ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const {
    common_lb_config: _panic,
    alt_stat_name: _statName,
    ...cluster
  } = buildUpstreamCluster({ name, sni: name, spiffeIds: [], connectTimeoutMs, protocol, settings, tls: context.mesh.outgoingTls });
  return cluster;
}

export function clusterResource(cluster: Cluster): EnvoyResource<Cluster> {
  return { type: 'cluster', name: cluster.name ?? '', body: cluster };
}
