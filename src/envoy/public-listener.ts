import type {
  envoy_config_listener_v3_Filter as Filter,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
  envoy_config_listener_v3_Listener as Listener,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import { looksAtPaths } from '../topology/authorization.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import { buildListenerAccessLog } from './access-log.ts';
import { socketAddress } from './address.ts';
import { envoyDuration } from './duration.ts';
import { buildCallerMetadata, FORGED_SPELLINGS, FORWARD_VERIFIED_CALLER } from './forwarded-client-cert.ts';
import { buildHttpConnectionManager, buildSingleRoute, type Tracing } from './http-connection-manager.ts';
import { buildJwtAuthn } from './jwt-authn.ts';
import { LOCAL_APP, listenerName, PUBLIC_LISTENER, statPrefix } from './names.ts';
import { ORIGINAL_DST } from './outbound-listener.ts';
import { numberIn } from './proxy-config.ts';
import { buildHttpRbac, buildNetworkRbac } from './rbac.ts';
import type { EnvoyTraits } from './resource.ts';
import { buildTcpProxy } from './tcp-proxy.ts';
import { buildDownstreamTls } from './tls-context.ts';
import { buildConnectionBalance } from './upstream-listener.ts';

/** Receives every connection from the mesh for the application: mTLS, then who may, then the application. */
export function buildPublicListener(view: ProxyView, traits: EnvoyTraits, tracing: Tracing | undefined): Listener {
  const { bindAddress, bindPort, permissivePort } = view.inbound;
  return {
    name: listenerName(PUBLIC_LISTENER, bindAddress, bindPort),
    address: socketAddress(bindAddress, bindPort),
    ...(traits.ipv6 && bindAddress === '0.0.0.0' && { additional_addresses: [{ address: socketAddress('::', bindPort) }] }),
    traffic_direction: 'INBOUND',
    filter_chains: [meshChain(view, tracing), ...(permissivePort ? [permissiveChain(view, permissivePort)] : [])],
    ...(permissivePort && { listener_filters: [ORIGINAL_DST] }),
    ...buildConnectionBalance(view.config.balance_inbound_connections),
    ...buildListenerAccessLog(view.accessLogs),
  };
}

function meshChain(view: ProxyView, tracing: Tracing | undefined): FilterChain {
  const { inbound, mesh } = view;
  return {
    filters: isHttp(inbound.protocol) ? httpFilters(view, tracing) : tcpFilters(view),
    transport_socket: buildDownstreamTls(inbound.protocol, mesh.incomingTls),
  };
}

function tcpFilters(view: ProxyView): Filter[] {
  return [
    buildNetworkRbac(view.inbound.authorization, view.trustDomain),
    ...connectionLimit(view),
    buildTcpProxy({ cluster: LOCAL_APP, statPrefix: PUBLIC_LISTENER, accessLogs: view.accessLogs }),
  ];
}

function httpFilters(view: ProxyView, tracing: Tracing | undefined): Filter[] {
  const { protocol } = view.inbound;
  const forward = forwardsCaller(view);
  const requestTimeoutMs = numberIn(view.config, 'local_request_timeout_ms');
  const idleTimeoutMs = numberIn(view.config, 'local_idle_timeout_ms');
  const maxHeadersKb = numberIn(view.config, 'max_request_headers_kb');
  const routes = buildSingleRoute(
    { routeConfig: PUBLIC_LISTENER, virtualHost: PUBLIC_LISTENER },
    {
      cluster: LOCAL_APP,
      ...(requestTimeoutMs && { timeout: envoyDuration(requestTimeoutMs) }),
      ...(idleTimeoutMs && { idle_timeout: envoyDuration(idleTimeoutMs) }),
    },
  );
  const manager = buildHttpConnectionManager({
    protocol,
    statPrefix: PUBLIC_LISTENER,
    routes: { inline: { ...routes, request_headers_to_remove: FORGED_SPELLINGS } },
    filters: [...authorizationFilters(view), ...(forward ? [buildCallerMetadata()] : [])],
    tracing,
    accessLogs: view.accessLogs,
    settings: { ...(forward && FORWARD_VERIFIED_CALLER), ...requestNormalization(view), ...(maxHeadersKb && { max_request_headers_kb: maxHeadersKb }) },
  });
  return [...connectionLimit(view), manager];
}

/** Tokens are read before RBAC looks at what they say. */
export function authorizationFilters({ inbound, trustDomain }: ProxyView): HttpFilter[] {
  const tokens = buildJwtAuthn(inbound.authorization);
  return [...(tokens ? [tokens] : []), buildHttpRbac(inbound.authorization, trustDomain)];
}

/** Consul tells gRPC applications nothing about their caller, nor anybody where the mesh entry says so. */
function forwardsCaller({ inbound, mesh }: ProxyView): boolean {
  return inbound.protocol !== 'grpc' && !mesh.sanitizeForwardedClientCert;
}

/**
 * Requests in one form before intentions look at their paths; otherwise `/a/../secret` would not be `/secret`. Where path rules decide, that
 * includes `//secret` and `/a%2f..%2fsecret`, unless the mesh entry says otherwise.
 */
export function requestNormalization({ mesh, inbound }: ProxyView): Partial<HttpConnectionManager> {
  const settings = mesh.requestNormalization;
  const strict = looksAtPaths(inbound.authorization);
  const mergeSlashes = settings?.merge_slashes ?? strict;
  const escapedSlashes = settings?.path_with_escaped_slashes_action ?? (strict ? 'REJECT_REQUEST' : undefined);
  return {
    ...(!settings?.insecure_disable_path_normalization && { normalize_path: true }),
    ...(mergeSlashes && { merge_slashes: true }),
    ...(escapedSlashes && { path_with_escaped_slashes_action: escapedSlashes }),
    ...(settings?.headers_with_underscores_action && {
      common_http_protocol_options: { headers_with_underscores_action: settings.headers_with_underscores_action },
    }),
  };
}

export function connectionLimit(view: ProxyView): Filter[] {
  const maxConnections = numberIn(view.config, 'max_inbound_connections');
  if (!maxConnections) return [];
  return [
    {
      name: 'envoy.filters.network.connection_limit',
      typed_config: typed('envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit', {
        stat_prefix: 'inbound_connection_limit',
        max_connections: maxConnections,
      }),
    },
  ];
}

/** Plain connections to the application's own port, from callers that are not in the mesh yet. */
function permissiveChain(view: ProxyView, port: number): FilterChain {
  return {
    filter_chain_match: { destination_port: port },
    filters: [buildTcpProxy({ cluster: LOCAL_APP, statPrefix: statPrefix('permissive_', PUBLIC_LISTENER), accessLogs: view.accessLogs })],
  };
}
