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
import type { ProxyTuning } from '../topology/proxy-tuning.ts';
import type { InboundView, ProxyContext } from '../topology/proxy-view.ts';
import { buildListenerAccessLog } from './access-log.ts';
import { socketAddress } from './address.ts';
import { envoyDuration } from './duration.ts';
import { buildCallerMetadata, FORGED_SPELLINGS, FORWARD_VERIFIED_CALLER } from './forwarded-client-cert.ts';
import { buildHttpConnectionManager, buildSingleRoute } from './http-connection-manager.ts';
import { buildJwtAuthn } from './jwt-authn.ts';
import { LOCAL_APP, listenerName, PUBLIC_LISTENER, statPrefix } from './names.ts';
import { ORIGINAL_DST } from './outbound-listener.ts';
import { buildHttpRbac, buildNetworkRbac } from './rbac.ts';
import type { BuildContext } from './resource.ts';
import { buildTcpProxy } from './tcp-proxy.ts';
import { buildDownstreamTls } from './tls-context.ts';
import { buildConnectionBalance } from './upstream-listener.ts';

/** Receives every connection from the mesh for the application: mTLS, then who may, then the application. */
export function buildPublicListener(context: BuildContext, inbound: InboundView): Listener {
  const { bindAddress, bindPort, permissivePort, tuning } = inbound;
  return {
    name: listenerName(PUBLIC_LISTENER, bindAddress, bindPort),
    address: socketAddress(bindAddress, bindPort),
    ...(context.traits.ipv6 && bindAddress === '0.0.0.0' && { additional_addresses: [{ address: socketAddress('::', bindPort) }] }),
    traffic_direction: 'INBOUND',
    filter_chains: [meshChain(context, inbound), ...(permissivePort ? [permissiveChain(context, permissivePort)] : [])],
    ...(permissivePort && { listener_filters: [ORIGINAL_DST] }),
    ...buildConnectionBalance(tuning.balanceInboundConnections),
    ...buildListenerAccessLog(context.accessLogs),
  };
}

function meshChain(context: BuildContext, inbound: InboundView): FilterChain {
  return {
    filters: isHttp(inbound.protocol) ? httpFilters(context, inbound) : tcpFilters(context, inbound),
    transport_socket: buildDownstreamTls(inbound.protocol, context.mesh.incomingTls),
  };
}

function tcpFilters({ trustDomain, accessLogs }: BuildContext, { authorization, tuning }: InboundView): Filter[] {
  return [
    buildNetworkRbac(authorization, trustDomain),
    ...connectionLimit(tuning),
    buildTcpProxy({ cluster: LOCAL_APP, statPrefix: PUBLIC_LISTENER, accessLogs }),
  ];
}

function httpFilters(context: BuildContext, inbound: InboundView): Filter[] {
  const { protocol, tuning } = inbound;
  const forward = forwardsCaller(context, inbound);
  const { localRequestTimeoutMs: requestTimeoutMs, localIdleTimeoutMs: idleTimeoutMs, maxRequestHeadersKb: maxHeadersKb } = tuning;
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
    filters: [...authorizationFilters(context, inbound), ...(forward ? [buildCallerMetadata()] : [])],
    tracing: context.tracing,
    accessLogs: context.accessLogs,
    settings: {
      ...(forward && FORWARD_VERIFIED_CALLER),
      ...requestNormalization(context, inbound),
      ...(maxHeadersKb && { max_request_headers_kb: maxHeadersKb }),
    },
  });
  return [...connectionLimit(tuning), manager];
}

/** Tokens are read before RBAC looks at what they say. */
export function authorizationFilters({ trustDomain }: ProxyContext, { authorization }: InboundView): HttpFilter[] {
  const tokens = buildJwtAuthn(authorization);
  return [...(tokens ? [tokens] : []), buildHttpRbac(authorization, trustDomain)];
}

/** Consul tells gRPC applications nothing about their caller, nor anybody where the mesh entry says so. */
function forwardsCaller({ mesh }: BuildContext, { protocol }: InboundView): boolean {
  return protocol !== 'grpc' && !mesh.sanitizeForwardedClientCert;
}

/**
 * Requests in one form before intentions look at their paths; otherwise `/a/../secret` would not be `/secret`. Where path rules decide, that
 * includes `//secret` and `/a%2f..%2fsecret`, unless the mesh entry says otherwise.
 */
export function requestNormalization({ mesh }: ProxyContext, { authorization }: InboundView): Partial<HttpConnectionManager> {
  const settings = mesh.requestNormalization;
  const strict = looksAtPaths(authorization);
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

export function connectionLimit({ maxInboundConnections: maxConnections }: ProxyTuning): Filter[] {
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
function permissiveChain({ accessLogs }: BuildContext, port: number): FilterChain {
  return {
    filter_chain_match: { destination_port: port },
    filters: [buildTcpProxy({ cluster: LOCAL_APP, statPrefix: statPrefix('permissive_', PUBLIC_LISTENER), accessLogs })],
  };
}
