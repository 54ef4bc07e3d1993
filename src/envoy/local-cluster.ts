import { isIP } from 'node:net';
import type { envoy_config_cluster_v3_Cluster as Cluster } from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { ExposedPath } from '../topology/exposed-paths.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import { pipeAddress, socketAddress } from './address.ts';
import { envoyDuration } from './duration.ts';
import { exposedClusterName, LOCAL_APP } from './names.ts';
import { numberIn } from './proxy-config.ts';
import { buildHttp2Options, HTTP_PROTOCOL_OPTIONS } from './upstream-cluster.ts';

/** Consul's `local_connect_timeout_ms` when nobody sets it. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** The application itself. */
export function buildLocalAppCluster(view: ProxyView): Cluster {
  const { localApp, protocol } = view.inbound;
  return {
    ...localCluster(view, LOCAL_APP, localApp.port),
    ...((protocol === 'http2' || protocol === 'grpc') && {
      typed_extension_protocol_options: {
        // What came in as HTTP/2 goes on as HTTP/2, and HTTP/1.1 as HTTP/1.1.
        [HTTP_PROTOCOL_OPTIONS]: typed(HTTP_PROTOCOL_OPTIONS, { use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } }),
      },
    }),
  };
}

/** Another port of the application, of which a path is exposed. */
export function buildExposedCluster(view: ProxyView, { localPort, protocol }: ExposedPath): Cluster {
  return { ...localCluster(view, exposedClusterName(localPort), localPort), ...buildHttp2Options(protocol) };
}

function localCluster(view: ProxyView, name: string, port: number): Cluster {
  const { address, socketPath } = view.inbound.localApp;
  const endpoint = socketPath ? pipeAddress(socketPath) : socketAddress(address, port);
  const maxConnections = numberIn(view.config, 'max_inbound_connections');
  return {
    name,
    type: socketPath || isIP(address) !== 0 ? 'STATIC' : 'LOGICAL_DNS',
    connect_timeout: envoyDuration(numberIn(view.config, 'local_connect_timeout_ms') ?? DEFAULT_CONNECT_TIMEOUT_MS),
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: endpoint } }] }] },
    ...(maxConnections && { circuit_breakers: { thresholds: [{ max_connections: maxConnections }] } }),
  };
}
