import { serviceSpiffeId } from '../mesh/spiffe-id.ts';
import type { envoy_config_cluster_v3_Cluster as Cluster } from '../proto/generated/types.ts';
import { preparedQuerySni } from '../topology/names.ts';
import type { ChainUpstream, ProxyView, UpstreamView } from '../topology/proxy-view.ts';
import { type ChainTargetCluster, chainClusters } from './chain-cluster.ts';
import { buildEndpointAssignment } from './endpoint-assignment.ts';
import type { EnvoyResource } from './resource.ts';
import { buildFailoverCluster, buildUpstreamCluster } from './upstream-cluster.ts';

/** Consul's default for connections to upstreams. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** The clusters of one upstream, and where their instances are. */
export function buildUpstreamClusters(view: ProxyView, upstream: UpstreamView): EnvoyResource[] {
  const { route } = upstream;
  return route.type === 'chain' ? chainResources(view, upstream, route) : preparedQueryResources(view, upstream);
}

function chainResources(view: ProxyView, upstream: UpstreamView, { chain, endpoints }: ChainUpstream): EnvoyResource[] {
  return chainClusters(chain).flatMap((cluster): EnvoyResource[] =>
    cluster.type === 'failover'
      ? [clusterResource(buildFailoverCluster(cluster.name, cluster.members, cluster.connectTimeoutMs))]
      : [
          clusterResource(targetCluster(view, upstream, cluster)),
          { type: 'endpoint', name: cluster.name, body: buildEndpointAssignment(cluster.name, endpoints.get(cluster.target.id)) },
        ],
  );
}

function targetCluster(view: ProxyView, { protocol, settings }: UpstreamView, { name, target, connectTimeoutMs, loadBalancer }: ChainTargetCluster): Cluster {
  return buildUpstreamCluster({
    name,
    sni: target.sni,
    spiffeIds: [serviceSpiffeId(target.service, { datacenter: target.datacenter, trustDomain: view.trustDomain })],
    connectTimeoutMs,
    protocol,
    settings,
    loadBalancer,
    tls: view.mesh.outgoingTls,
  });
}

/** Prepared queries live in a Consul; without one they have no instances. */
function preparedQueryResources(view: ProxyView, { service, protocol, settings }: UpstreamView): EnvoyResource[] {
  const name = preparedQuerySni(service, view);
  const connectTimeoutMs = settings.connect_timeout_ms ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const {
    common_lb_config: _panic,
    alt_stat_name: _statName,
    ...cluster
  } = buildUpstreamCluster({
    name,
    sni: name,
    spiffeIds: [],
    connectTimeoutMs,
    protocol,
    settings,
    tls: view.mesh.outgoingTls,
  });
  return [clusterResource(cluster), { type: 'endpoint', name, body: buildEndpointAssignment(name, undefined) }];
}

export function clusterResource(cluster: Cluster): EnvoyResource<Cluster> {
  return { type: 'cluster', name: cluster.name ?? '', body: cluster };
}
