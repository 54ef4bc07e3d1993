import type { LoadBalancer } from '../mesh/schema/service-resolver.ts';
import type {
  envoy_config_cluster_v3_CircuitBreakers as CircuitBreakers,
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_cluster_v3_OutlierDetection as OutlierDetection,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { TlsSettings } from '../topology/mesh-settings.ts';
import type { Protocol } from '../topology/proxy-settings.ts';
import type { UpstreamSettings } from '../topology/upstream-settings.ts';
import { buildLoadBalancing } from './chain-cluster.ts';
import { envoyDuration } from './duration.ts';
import { buildUpstreamTls } from './tls-context.ts';

export interface UpstreamClusterOptions {
  readonly name: string;
  readonly sni: string;
  /** Who may be at the other end. Empty: anybody in the mesh. */
  readonly spiffeIds: readonly string[];
  readonly connectTimeoutMs: number;
  readonly protocol: Protocol;
  readonly settings: UpstreamSettings;
  readonly loadBalancer?: LoadBalancer | undefined;
  readonly tls: TlsSettings | undefined;
}

/** Instances of one target, whose addresses come by EDS, reached by mTLS. */
export function buildUpstreamCluster(options: UpstreamClusterOptions): Cluster {
  const { name, sni, spiffeIds, connectTimeoutMs, protocol, settings, loadBalancer, tls } = options;
  return {
    name,
    alt_stat_name: name,
    type: 'EDS',
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
    connect_timeout: envoyDuration(connectTimeoutMs),
    common_lb_config: SHOW_HEALTH_AT_ONCE,
    circuit_breakers: buildCircuitBreakers(settings.limits),
    outlier_detection: buildOutlierDetection(settings.passive_health_check),
    transport_socket: buildUpstreamTls({ sni, spiffeIds }, tls),
    ...buildHttp2Options(protocol),
    ...buildLoadBalancing(loadBalancer),
  };
}

/**
 * No panic: with too few healthy instances Envoy would otherwise send requests to the unhealthy ones as well. And no merge window:
 * by default a change of health waits up to a second for others of its kind.
 */
const SHOW_HEALTH_AT_ONCE: NonNullable<Cluster['common_lb_config']> = { healthy_panic_threshold: {}, update_merge_window: '0s' };

/** Several clusters tried in order: the next one once no instance of the one before is healthy. */
export function buildFailoverCluster(name: string, members: readonly string[], connectTimeoutMs: number): Cluster {
  return {
    name,
    alt_stat_name: name,
    connect_timeout: envoyDuration(connectTimeoutMs),
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.aggregate',
      typed_config: typed('envoy.extensions.clusters.aggregate.v3.ClusterConfig', { clusters: members }),
    },
  };
}

/** What speaks HTTP/2 is spoken to in HTTP/2: nothing is negotiated inside the mesh. */
export function buildHttp2Options(protocol: Protocol): Pick<Cluster, 'typed_extension_protocol_options'> {
  if (protocol !== 'http2' && protocol !== 'grpc') return {};
  return {
    typed_extension_protocol_options: {
      [HTTP_PROTOCOL_OPTIONS]: typed(HTTP_PROTOCOL_OPTIONS, { explicit_http_config: { http2_protocol_options: {} } }),
    },
  };
}

export const HTTP_PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function buildCircuitBreakers(limits: UpstreamSettings['limits']): CircuitBreakers {
  const threshold = {
    ...(limits?.max_connections !== undefined && { max_connections: limits.max_connections }),
    ...(limits?.max_pending_requests !== undefined && { max_pending_requests: limits.max_pending_requests }),
    ...(limits?.max_concurrent_requests !== undefined && { max_requests: limits.max_concurrent_requests }),
  };
  return Object.keys(threshold).length > 0 ? { thresholds: [threshold] } : {};
}

/** Never absent: an empty one turns detection on with Envoy's defaults. */
function buildOutlierDetection(check: UpstreamSettings['passive_health_check']): OutlierDetection {
  return {
    ...(check?.interval && { interval: envoyDuration(check.interval) }),
    ...(check?.max_failures && { consecutive_5xx: check.max_failures }),
    ...(check?.enforcing_consecutive_5xx !== undefined && { enforcing_consecutive_5xx: check.enforcing_consecutive_5xx }),
    ...(check?.max_ejection_percent !== undefined && { max_ejection_percent: check.max_ejection_percent }),
    ...(check?.base_ejection_time && { base_ejection_time: envoyDuration(check.base_ejection_time) }),
  };
}
