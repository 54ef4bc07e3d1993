import { isIP } from 'node:net';
import type { envoy_config_cluster_v3_Cluster as Cluster } from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { ExposedPath } from '../topology/exposed-paths.ts';
import type { InboundView } from '../topology/proxy-view.ts';
import { pipeAddress, socketAddress } from './address.ts';
import { envoyDuration } from './duration.ts';
import { exposedClusterName, LOCAL_APP } from './names.ts';
import { buildHttp2Options, HTTP_PROTOCOL_OPTIONS } from './upstream-cluster.ts';

/** Consul's `local_connect_timeout_ms` when nobody sets it. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** The application itself. */
export function buildLocalAppCluster(inbound: InboundView): Cluster {
  const { localApp, protocol } = inbound;
  return {
    ...localCluster(inbound, LOCAL_APP, localApp.port),
    ...((protocol === 'http2' || protocol === 'grpc') && {
      typed_extension_protocol_options: {
        // What came in as HTTP/2 goes on as HTTP/2, and HTTP/1.1 as HTTP/1.1.
        [HTTP_PROTOCOL_OPTIONS]: typed(HTTP_PROTOCOL_OPTIONS, { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } }),
      },
    }),
  };
}

/** Another port of the application, of which a path is exposed. */
export function buildExposedCluster(inbound: InboundView, { localPort, protocol }: ExposedPath): Cluster {
  return { ...localCluster(inbound, exposedClusterName(localPort), localPort), ...buildHttp2Options(protocol) };
}

function localCluster({ localApp, tuning }: InboundView, name: string, port: number): Cluster {
  const { address, socketPath } = localApp;
  const endpoint = socketPath ? pipeAddress(socketPath) : socketAddress(address, port);
  const { maxInboundConnections: maxConnections } = tuning;
  return {
    name,
    type: socketPath || isIP(address) !== 0 ? 'STATIC' : 'LOGICAL_DNS',
    connect_timeout: envoyDuration(tuning.localConnectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS),
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: endpoint } }] }] },
    ...(maxConnections && { circuit_breakers: { thresholds: [{ max_connections: maxConnections }] } }),
  };
}
