import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_extensions_transport_sockets_tls_v3_UpstreamTlsContext as UpstreamTlsContext,
} from '../../proto/generated/types.ts';
import { sameMessage } from './same-message.ts';

const UPSTREAM_TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

/**
 * Why the cluster of an upstream, as users changed it, might be the application, or undefined. It verifies whom it reaches as before; an
 * application does not speak the mesh's TLS itself.
 *
 * @param cluster canonical JSON
 */
export function meshClusterFault(cluster: Cluster, own: Cluster): string | undefined {
  const before = verification(own);
  if (!before) {
    // An aggregate, or what passes connections on: where it leads is all that it says.
    return sameMessage('envoy.config.cluster.v3.Cluster', leading(cluster), leading(own)) ? undefined : 'it leads elsewhere';
  }
  if (cluster.cluster_type) return 'its endpoints come from elsewhere';
  if (cluster.transport_socket_matches?.length) return 'some of its connections may go without mTLS';
  const after = verification(cluster);
  const same = after && sameMessage('envoy.extensions.transport_sockets.tls.v3.CommonTlsContext', after, before);
  return same ? undefined : 'it does not verify whom it reaches as the mesh does';
}

/** What a cluster shows and demands of its peers, without versions, ciphers and protocols. */
function verification({ transport_socket: socket }: Cluster): UpstreamTlsContext['common_tls_context'] {
  const config = socket?.typed_config;
  if (config?.['@type'] !== UPSTREAM_TLS) return undefined;
  const { tls_params: _versions, alpn_protocols: _protocols, ...context } = (config as UpstreamTlsContext).common_tls_context ?? {};
  return context;
}

function leading({ type, cluster_type, load_assignment, lb_policy, transport_socket, transport_socket_matches, original_dst_lb_config }: Cluster): Cluster {
  return {
    ...(type && { type }),
    ...(cluster_type && { cluster_type }),
    ...(load_assignment && { load_assignment }),
    ...(lb_policy && { lb_policy }),
    ...(transport_socket && { transport_socket }),
    ...(transport_socket_matches && { transport_socket_matches }),
    ...(original_dst_lb_config && { original_dst_lb_config }),
  };
}
