import type {
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_extensions_filters_http_jwt_authn_v3_JwtAuthentication as JwtAuthentication,
  envoy_extensions_filters_http_jwt_authn_v3_JwtRequirement as JwtRequirement,
  envoy_config_listener_v3_Listener as Listener,
  envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher as SubjectAltNameMatcher,
} from '../../src/proto/generated/types.ts';
import { rbacAllows, textMatches } from '../property/rbac-evaluator.ts';
import { configOf, findConfig } from './any.ts';
import { hostsOf } from './endpoints.ts';
import { chooseFilterChain } from './filter-chain.ts';
import { normalizePath } from './normalize-path.ts';
import { type HttpRequest, withoutQuery } from './request.ts';
import { routeRequest } from './route.ts';
import type { Sidecar } from './sidecar.ts';

/** A connection at the host of a sidecar, and what comes over it. */
export interface Arrival {
  readonly destination: { readonly address: string; readonly port: number };
  readonly source: string;
  /** Undefined: plaintext. */
  readonly tls: { readonly identity: string; readonly accepts: readonly SubjectAltNameMatcher[] } | undefined;
  /** Undefined: something that is not HTTP. */
  readonly request: HttpRequest | undefined;
  /** Payloads of tokens with valid signatures. */
  readonly tokens: readonly Readonly<Record<string, unknown>>[];
}

/** How it ends, and what decided. */
export type Reception =
  | { readonly allowed: true; readonly application: string; readonly request: HttpRequest | undefined }
  | { readonly allowed: false; readonly by: string };

/** What a sidecar does with a connection that arrives at one of its listeners: TLS, then its filters in their order, then the application. */
export function receive(sidecar: Sidecar, listener: Listener, arrival: Arrival): Reception {
  const recoversDestination = findConfig(listener.listener_filters, 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst') !== undefined;
  const listens = { address: arrival.destination.address, port: listener.address?.socket_address?.port_value ?? 0 };
  const chain = chooseFilterChain(listener, { destination: recoversDestination ? arrival.destination : listens, source: arrival.source });
  if (!chain) return refused('no filter chain');
  const tlsFault = handshakeFault(sidecar, chain.transport_socket?.typed_config, arrival);
  if (tlsFault) return refused(tlsFault);
  const identity = arrival.tls?.identity ?? '';
  for (const { name, typed_config: config } of chain.filters ?? []) {
    const rbac = configOf(config, 'envoy.extensions.filters.network.rbac.v3.RBAC');
    if (rbac?.rules && !rbacAllows(rbac.rules, { identity, path: '', method: '', headers: {}, tokens: {} })) return refused('network RBAC');
    const tcpProxy = configOf(config, 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy');
    if (tcpProxy) return deliver(sidecar, tcpProxy.cluster ?? '', arrival.request);
    const manager = configOf(config, 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager');
    if (manager) return serve(sidecar, manager, arrival);
    if (!rbac && !LETTING_PASS.includes(name ?? '')) throw new Error(`not simulated: ${name}`);
  }
  return refused('no filter');
}

/** Filters that in a simulation have nothing against a connection. */
const LETTING_PASS: readonly string[] = ['envoy.filters.network.connection_limit', 'envoy.filters.network.ext_authz'];

function refused(by: string): Reception {
  return { allowed: false, by };
}

/** Both sides of the handshake: whom the caller expects, and whom the listener lets in. */
function handshakeFault(sidecar: Sidecar, config: Parameters<typeof configOf>[0], { tls }: Arrival): string | undefined {
  const context = configOf(config, 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext');
  if (!context) return tls ? 'TLS on a plaintext chain' : undefined;
  if (!tls) return 'plaintext on a TLS chain';
  if (tls.accepts.length > 0 && !tls.accepts.some(({ matcher }) => matcher && textMatches(matcher, sidecar.identity))) return 'identity of the server';
  if (!context.require_client_certificate) throw new Error(`${sidecar.id}: no client certificate is demanded`);
  const secret = context.common_tls_context?.validation_context_sds_secret_config?.name ?? '';
  const validation = sidecar.secret(secret)?.validation_context;
  if (!validation?.trusted_ca) throw new Error(`${sidecar.id}: the secret ${secret} names no roots`);
  const wanted = validation.match_typed_subject_alt_names ?? [];
  const welcome = wanted.length === 0 || wanted.some(({ matcher }) => matcher && textMatches(matcher, tls.identity));
  return welcome ? undefined : 'identity of the caller';
}

/** An inbound HTTP connection manager. */
function serve(sidecar: Sidecar, manager: HttpConnectionManager, arrival: Arrival): Reception {
  if (!arrival.request) return refused('not HTTP');
  const path = normalizePath(arrival.request.path, manager);
  if (path === undefined) return refused('path normalization');
  const identity = arrival.tls?.identity ?? '';
  const request = { ...arrival.request, path, headers: withCaller(arrival.request.headers, manager, identity) };
  let tokens: Readonly<Record<string, unknown>> = {};
  for (const { typed_config: config } of manager.http_filters ?? []) {
    const authentication = configOf(config, 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication');
    if (authentication) tokens = verifiedTokens(authentication, arrival.tokens);
    const rbac = configOf(config, 'envoy.extensions.filters.http.rbac.v3.RBAC');
    if (rbac?.rules && !rbacAllows(rbac.rules, { ...request, identity, path: withoutQuery(path), tokens })) return refused('HTTP RBAC');
  }
  const [share] = manager.route_config ? routeRequest(manager.route_config, request) : [];
  return share ? deliver(sidecar, share.cluster, share.request) : refused('no route');
}

/** What a caller wrote into x-forwarded-client-cert goes; who it is comes, if it is asked for. */
function withCaller(
  headers: HttpRequest['headers'],
  { forward_client_cert_details: details }: HttpConnectionManager,
  identity: string,
): HttpRequest['headers'] {
  const { 'x-forwarded-client-cert': _forged, ...others } = headers;
  return details === 'SANITIZE_SET' && identity ? { ...others, 'x-forwarded-client-cert': `URI=${identity}` } : others;
}

/** Payloads by the key under which the filter leaves them, for tokens of an issuer that the filter looks for. */
function verifiedTokens({ providers = {}, rules = [] }: JwtAuthentication, sent: Arrival['tokens']): Record<string, unknown> {
  const wanted = rules.flatMap(({ requires }) => (requires ? providersIn(requires) : []));
  return Object.fromEntries(
    wanted.flatMap((name) => {
      const { issuer, payload_in_metadata: key } = providers[name] ?? {};
      const token = sent.find(({ iss }) => iss === issuer);
      return key && token ? [[key, token]] : [];
    }),
  );
}

function providersIn({ provider_name, requires_any, requires_all }: JwtRequirement): string[] {
  const nested = [...(requires_any?.requirements ?? []), ...(requires_all?.requirements ?? [])];
  return [...(provider_name ? [provider_name] : []), ...nested.flatMap(providersIn)];
}

function deliver(sidecar: Sidecar, cluster: string, request: HttpRequest | undefined): Reception {
  const [host] = hostsOf(sidecar, cluster, { address: '', port: 0 });
  return host ? { allowed: true, application: host.socketPath ?? `${host.address}:${host.port}`, request } : refused(`no host in ${cluster}`);
}
