import type {
  envoy_config_bootstrap_v3_Admin as Admin,
  envoy_config_bootstrap_v3_Bootstrap as Bootstrap,
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_core_v3_Address as EnvoyAddress,
  envoy_config_core_v3_TransportSocket as TransportSocket,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import { DEFAULT_OUTBOUND_PORT } from '../topology/proxy-settings.ts';
import { buildClientCertificate, buildStaticSecrets, buildTokenFilters, type ClientCertificateSource, type TokenSource } from './bootstrap-secrets.ts';
import { buildStatsTags } from './bootstrap-stats-tags.ts';
import { listenerName, OUTBOUND_LISTENER } from './names.ts';

/** Where the control plane is. `host` is an IP address or a DNS name. */
export type ControlPlaneAddress =
  | { readonly host: string; readonly kind: 'ip' | 'dns'; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Where Envoy serves its admin interface. Whoever reaches it can stop Envoy; a Unix socket (mode 0600) is for its own user alone. */
export type AdminBind = { readonly address: string; readonly port: number } | { readonly socket: string };

export interface BootstrapInput {
  /** The proxy's service ID. */
  readonly proxyId: string;
  /** The service it stands for: `node.cluster` and the source of its metrics. */
  readonly service: string;
  /** Needed only where the ID is used on several nodes. */
  readonly nodeName?: string;
  readonly datacenter: string;
  readonly controlPlane: ControlPlaneAddress;
  /** Absent: Envoy has no admin interface. */
  readonly admin?: AdminBind;
  /** Sent as `x-consul-token` with each stream. */
  readonly token?: TokenSource;
  /** PEM of the CAs that may have signed the control plane's certificate; without it the connection is plaintext. */
  readonly tlsCa?: string;
  /** Presented to the control plane; only with `tlsCa`. */
  readonly clientCertificate?: ClientCertificateSource;
  /** Whether the host has IPv6 loopback: the server then lets listeners bind `::1` and `::` too. */
  readonly ipv6: boolean;
  /**
   * Envoy refuses further downstream connections above it, both directions together. It must stay well below half of Envoy's
   * descriptors: each connection needs another one towards its destination, and Envoy crashes when it can open none.
   */
  readonly maxDownstreamConnections: number;
  /** Where the outbound listener is, default 15001. */
  readonly outboundPort?: number;
}

const XDS_CLUSTER = 'local_agent';

/**
 * The configuration Envoy starts with: who it is, where its control plane is, and Consul's metric tags. Everything else comes by
 * ADS. It must not hold a cluster whose TLS takes secrets from ADS: Envoy 1.36 and 1.40 crash on that at start.
 */
export function buildBootstrap(input: BootstrapInput): Bootstrap {
  const secrets = buildStaticSecrets(input.token);
  return {
    ...(input.admin && { admin: buildAdmin(input.admin) }),
    node: {
      id: input.proxyId,
      cluster: input.service,
      metadata: { namespace: 'default', partition: 'default', ipv6: input.ipv6, ...(input.nodeName ? { node_name: input.nodeName } : {}) },
    },
    layered_runtime: { layers: [{ name: 'base', static_layer: buildRuntime(input) }] },
    overload_manager: {
      resource_monitors: [
        {
          name: 'envoy.resource_monitors.global_downstream_max_connections',
          typed_config: typed('envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig', {
            max_active_downstream_connections: input.maxDownstreamConnections,
          }),
        },
      ],
    },
    static_resources: { clusters: [buildXdsCluster(input)], ...(secrets.length > 0 ? { secrets } : {}) },
    stats_config: {
      stats_tags: buildStatsTags({ service: input.service, namespace: 'default', partition: 'default', datacenter: input.datacenter }),
      use_all_default_tags: true,
    },
    dynamic_resources: {
      // 0s: wait for the control plane for ever. Otherwise Envoy reports itself ready after 30 s, without a single listener.
      lds_config: { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' },
      cds_config: { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' },
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: XDS_CLUSTER, retry_policy: { retry_back_off: RECONNECT } } }],
      },
    },
  };
}

/** The part of all connections that applications of the host may hold, so that they cannot keep callers out. */
const OUTBOUND_SHARE = 0.75;

function buildRuntime({ maxDownstreamConnections, outboundPort = DEFAULT_OUTBOUND_PORT }: BootstrapInput): Record<string, number> {
  const outbound = listenerName(OUTBOUND_LISTENER, '127.0.0.1', outboundPort);
  return {
    // The regular expressions of large policies exceed Envoy's default limit of 100.
    're2.max_program_size.error_level': 1048576,
    [`envoy.resource_limits.listener.${outbound}.connection_limit`]: Math.max(1, Math.floor(maxDownstreamConnections * OUTBOUND_SHARE)),
  };
}

/** Octal 0600 as the decimal number that Envoy wants. */
const OWNER_ONLY = 0o600;

function buildAdmin(admin: AdminBind): Admin {
  return {
    access_log: [{ name: 'envoy.access_loggers.file', typed_config: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/null' }) }],
    address: 'socket' in admin ? { pipe: { path: admin.socket, mode: OWNER_ONLY } } : socketAddress(admin.address, admin.port),
  };
}

/** How long Envoy waits before it connects to the control plane again. Its own default goes up to 30 s, during which no change arrives. */
const RECONNECT = { base_interval: '0.250s', max_interval: '2s' };

function buildXdsCluster(input: BootstrapInput): Cluster {
  const { controlPlane } = input;
  const address = controlPlane.kind === 'unix' ? { pipe: { path: controlPlane.path } } : socketAddress(controlPlane.host, controlPlane.port);
  return {
    name: XDS_CLUSTER,
    type: controlPlane.kind === 'dns' ? 'STRICT_DNS' : 'STATIC',
    // Both families are tried; Envoy's default takes IPv6 alone where a name has both.
    ...(controlPlane.kind === 'dns' ? { dns_lookup_family: 'ALL' as const } : {}),
    connect_timeout: '1s',
    ignore_health_on_host_removal: false,
    load_assignment: { cluster_name: XDS_CLUSTER, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    // A control plane that vanishes without a word is noticed after 35 s, and Envoy connects again.
    upstream_connection_options: { tcp_keepalive: { keepalive_probes: 3, keepalive_time: 30, keepalive_interval: 5 } },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
        explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '5s', connection_idle_interval: '5s' } } },
        ...(input.token ? { http_filters: buildTokenFilters(input.token) } : {}),
      }),
    },
    ...(input.tlsCa === undefined ? {} : { transport_socket: buildTls(input.tlsCa, input) }),
  };
}

/** TLS that insists on the address dialed: as a DNS name with SNI, or as an IP address in the certificate. */
function buildTls(trustedCa: string, { controlPlane, clientCertificate }: BootstrapInput): TransportSocket {
  const host = controlPlane.kind === 'unix' ? 'localhost' : controlPlane.host;
  const byName = controlPlane.kind !== 'ip';
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
      ...(byName ? { sni: host } : {}),
      common_tls_context: {
        ...(clientCertificate ? buildClientCertificate(clientCertificate) : {}),
        alpn_protocols: ['h2'],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' },
        validation_context: {
          trusted_ca: { inline_string: trustedCa },
          match_typed_subject_alt_names: [{ san_type: byName ? 'DNS' : 'IP_ADDRESS', matcher: { exact: host } }],
        },
      },
    }),
  };
}

function socketAddress(address: string, port: number): EnvoyAddress {
  return { socket_address: { address, port_value: port } };
}
