import type { envoy_config_cluster_v3_Cluster as Cluster } from '../proto/generated/types.ts';
import type { TlsSettings } from '../topology/mesh-settings.ts';
import type { DirectDial } from '../topology/proxy-view.ts';
import { envoyDuration } from './duration.ts';
import { ORIGINAL_DESTINATION, passthroughClusterName } from './names.ts';
import { buildUpstreamTls } from './tls-context.ts';

/** Connects to where the application wanted to go, unchanged. */
export function buildOriginalDestinationCluster(): Cluster {
  return { name: ORIGINAL_DESTINATION, ...ORIGINAL_DST, connect_timeout: '5s' };
}

/** Connects to the instance that the application dialed, by mTLS. The destination redirects the connection to its proxy. */
export function buildPassthroughCluster(dial: DirectDial, tls: TlsSettings | undefined): Cluster {
  return {
    name: passthroughClusterName(dial.sni),
    ...ORIGINAL_DST,
    connect_timeout: envoyDuration(dial.connectTimeoutMs),
    transport_socket: buildUpstreamTls({ sni: dial.sni, spiffeIds: [dial.spiffeId] }, tls),
  };
}

/** The largest uint32: Envoy has no "unlimited". */
const UNLIMITED = 4294967295;

/**
 * Envoy's circuit breaker would stop at 1,024 connections over all destinations together, which says nothing about any of them.
 */
const ORIGINAL_DST: Cluster = {
  type: 'ORIGINAL_DST',
  lb_policy: 'CLUSTER_PROVIDED',
  circuit_breakers: { thresholds: [{ max_connections: UNLIMITED, max_pending_requests: UNLIMITED, max_requests: UNLIMITED }] },
};
