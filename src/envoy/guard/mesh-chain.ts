import type {
  envoy_extensions_transport_sockets_tls_v3_DownstreamTlsContext as DownstreamTlsContext,
  envoy_config_listener_v3_Filter as Filter,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
  envoy_config_listener_v3_Listener as Listener,
  envoy_config_rbac_v3_RBAC as Rbac,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
} from '../../proto/generated/types.ts';
import { type Authorization, looksAtPaths } from '../../topology/authorization.ts';
import { isHttp } from '../../topology/proxy-settings.ts';
import type { ProxyView } from '../../topology/proxy-view.ts';
import { connectionsOnly } from '../escape-hatch.ts';
import { SECRETS } from '../names.ts';
import { authorizationFilters, requestNormalization } from '../public-listener.ts';
import { buildNetworkRbac } from '../rbac.ts';
import { buildDownstreamTls } from '../tls-context.ts';
import { FREE_CHAIN_FIELDS, FREE_MANAGER_FIELDS, fieldBeyond, GUARDED_CHAIN_FIELDS, GUARDED_MANAGER_FIELDS } from './api-fields.ts';
import { sameMessage } from './same-message.ts';

const API = 'type.googleapis.com/envoy.extensions';
export const TYPES = {
  manager: `${API}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
  networkRbac: `${API}.filters.network.rbac.v3.RBAC`,
  connectionLimit: `${API}.filters.network.connection_limit.v3.ConnectionLimit`,
  tcpProxy: `${API}.filters.network.tcp_proxy.v3.TcpProxy`,
  httpRbac: `${API}.filters.http.rbac.v3.RBAC`,
  jwtAuthn: `${API}.filters.http.jwt_authn.v3.JwtAuthentication`,
  grpcStats: `${API}.filters.http.grpc_stats.v3.FilterConfig`,
  grpcBridge: `${API}.filters.http.grpc_http1_bridge.v3.Config`,
  downstreamTls: `${API}.transport_sockets.tls.v3.DownstreamTlsContext`,
} as const;

/** The routes that a connection manager may fetch, by name. */
export type RoutesByName = ReadonlyMap<string, RouteConfiguration>;

/**
 * Why a chain that leads to the application would let in whom intentions deny, or undefined. Such a chain demands a certificate of the mesh, and
 * nothing that a user added comes before the filters that authorize.
 *
 * @param chain canonical JSON
 */
export function meshChainFault(view: ProxyView, chain: FilterChain, routes: RoutesByName): string | undefined {
  const unknown = fieldBeyond(chain, FREE_CHAIN_FIELDS, GUARDED_CHAIN_FIELDS);
  if (unknown) return `it sets ${unknown}`;
  const filters = chain.filters ?? [];
  if (filters.length === 0) return undefined;
  const manager = filters.at(-1);
  if (isHttp(view.inbound.protocol) && manager?.typed_config?.['@type'] === TYPES.manager) {
    return (
      transportFault(view, chain, [SECRETS.roots, SECRETS.callers]) ??
      requestsFault(view, filters.slice(0, -1), manager.typed_config as HttpConnectionManager, routes)
    );
  }
  return transportFault(view, chain, [SECRETS.callers]) ?? connectionsFault(view, filters);
}

/** Certificates are demanded, and verified with a secret of adsum's. */
function transportFault({ inbound, context: { mesh } }: ProxyView, { transport_socket: socket }: FilterChain, secrets: readonly string[]): string | undefined {
  const context = socket?.typed_config as
    | { '@type'?: string; require_client_certificate?: boolean; common_tls_context?: { validation_context_sds_secret_config?: { name?: string } } }
    | undefined;
  if (context?.['@type'] !== TYPES.downstreamTls || context.require_client_certificate !== true) return 'it demands no client certificate';
  const secret = context.common_tls_context?.validation_context_sds_secret_config?.name ?? '';
  const expected = buildDownstreamTls(inbound.protocol, mesh.incomingTls, secret === SECRETS.callers);
  const ours = secrets.includes(secret) && sameMessage('envoy.config.core.v3.TransportSocket', socket, expected);
  return ours ? undefined : 'it verifies client certificates otherwise than the mesh does';
}

function connectionsFault({ inbound, context: { trustDomain } }: ProxyView, [first]: readonly Filter[]): string | undefined {
  const fitting = [inbound.authorization, connectionsOnly(inbound.authorization)].find((authorization) =>
    sameMessage('envoy.config.listener.v3.Filter', first, buildNetworkRbac(authorization, trustDomain)),
  );
  const rules = (first?.typed_config as { rules?: Rbac } | undefined)?.rules;
  return fitting && holds(rules, fitting) ? undefined : 'its first filter is not the authorization of connections';
}

/** What may come before an HTTP connection manager: it answers nothing, and talks to nobody. */
const BEFORE_MANAGER: readonly string[] = [TYPES.connectionLimit, TYPES.networkRbac];

function requestsFault(view: ProxyView, before: readonly Filter[], manager: HttpConnectionManager, routes: RoutesByName): string | undefined {
  if (!before.every(({ typed_config }) => BEFORE_MANAGER.includes(typed_config?.['@type'] ?? ''))) return 'a filter comes before the authorization';
  return httpFiltersFault(view, manager.http_filters ?? []) ?? managerFault(view, manager) ?? routesFault(view, manager, routes);
}

/** What adsum itself puts before the authorization. */
const BEFORE_AUTHORIZATION: readonly string[] = [TYPES.grpcStats, TYPES.grpcBridge];

function httpFiltersFault(view: ProxyView, filters: readonly HttpFilter[]): string | undefined {
  const start = filters.findIndex(({ typed_config, config_discovery }) => config_discovery || !BEFORE_AUTHORIZATION.includes(typed_config?.['@type'] ?? ''));
  const expected = authorizationFilters(view.context, view.inbound);
  const isExpected = expected.every((filter, index) => {
    const written = filters[start + index];
    return start >= 0 && sameMessage('envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter', written, filter);
  });
  const rbac = expected.at(-1)?.typed_config as { '@type'?: string; rules?: Rbac } | undefined;
  const known = expected.every(({ typed_config }) => typed_config?.['@type'] === TYPES.jwtAuthn || typed_config?.['@type'] === TYPES.httpRbac);
  const authorizes = known && rbac?.['@type'] === TYPES.httpRbac && holds(rbac.rules, view.inbound.authorization);
  if (!isExpected || !authorizes) return 'the authorization of requests is missing, or another filter comes before it';
  const names = new Set(expected.map(({ name }) => name));
  const twice = filters.filter(({ name }) => names.has(name)).length > names.size;
  return twice ? 'another filter bears the name of the authorization' : undefined;
}

/**
 * The same of a listener that nobody changed, told from what the listener says alone: a builder that lost the authorization or the TLS on its way is
 * found here. True: no chain of it that demands no authorization leads to the application.
 */
export function isGuardedAsBuilt({ inbound }: ProxyView, { filter_chains: chains = [], default_filter_chain: other }: Listener): boolean {
  return [...chains, ...(other ? [other] : [])].every(({ filters = [], transport_socket: socket, filter_chain_match: match }) => {
    if (inbound.permissivePort !== undefined && match?.destination_port === inbound.permissivePort) return true;
    const context = socket?.typed_config as (DownstreamTlsContext & { '@type'?: string }) | undefined;
    const verifies = context?.common_tls_context?.validation_context_sds_secret_config?.name;
    const wanted: readonly string[] = isHttp(inbound.protocol) ? [SECRETS.roots, SECRETS.callers] : [SECRETS.callers];
    if (context?.['@type'] !== TYPES.downstreamTls || context.require_client_certificate !== true || !wanted.includes(verifies ?? '')) return false;
    const manager = filters.find(({ typed_config }) => typed_config?.['@type'] === TYPES.manager)?.typed_config as HttpConnectionManager | undefined;
    const before: readonly string[] = manager ? [...BEFORE_AUTHORIZATION, TYPES.jwtAuthn] : [];
    const type = manager ? TYPES.httpRbac : TYPES.networkRbac;
    const first = (manager ? (manager.http_filters ?? []) : filters).find(({ typed_config }) => !before.includes(typed_config?.['@type'] ?? ''));
    if (first?.typed_config?.['@type'] !== type) return false;
    return holds((first?.typed_config as { rules?: Rbac } | undefined)?.rules, inbound.authorization);
  });
}

/** Rules that say nothing allow everything, and so do denials without a policy where somebody is to be denied. */
function holds(rules: Rbac | undefined, { defaultAction, sources }: Authorization): boolean {
  if (!rules) return false;
  if (defaultAction === 'deny') return rules.action === undefined || rules.action === 'ALLOW';
  return rules.action === 'DENY' && (Object.keys(rules.policies ?? {}).length > 0 || !sources.some(({ action }) => action === 'deny'));
}

function managerFault(view: ProxyView, manager: HttpConnectionManager & { '@type'?: string }): string | undefined {
  const { '@type': _type, ...fields } = manager;
  const unknown = fieldBeyond(fields, FREE_MANAGER_FIELDS, GUARDED_MANAGER_FIELDS);
  if (unknown) return `its HTTP connection manager sets ${unknown}`;
  if (manager.upgrade_configs?.some(({ filters }) => filters && filters.length > 0)) return 'it handles an upgrade with filters of its own';
  if (!looksAtPaths(view.inbound.authorization)) return undefined;
  const normalized = { ...manager, ...requestNormalization(view.context, view.inbound) };
  const same = sameMessage('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', fields, withoutType(normalized));
  return same ? undefined : 'it does not bring paths into the form that intentions need';
}

function withoutType({ '@type': _type, ...fields }: HttpConnectionManager & { '@type'?: string }): HttpConnectionManager {
  return fields;
}

/** Routes can switch a filter off, or give it other rules. */
function routesFault(view: ProxyView, { route_config: inline, rds }: HttpConnectionManager, routes: RoutesByName): string | undefined {
  const fetched = rds ? routes.get(rds.route_config_name ?? '') : undefined;
  if (rds && (!rds.config_source?.ads || !fetched)) return 'it fetches its routes from elsewhere';
  if (inline?.vhds ?? fetched?.vhds) return 'it fetches its virtual hosts from elsewhere';
  const names = new Set(authorizationFilters(view.context, view.inbound).map(({ name }) => name ?? ''));
  return overrides(inline ?? fetched, names) ? 'a route of it overrides the authorization' : undefined;
}

/** Route configurations, virtual hosts, routes and weighted clusters, also those inside of matchers, have such a map. */
export function overrides(value: unknown, filters: ReadonlySet<string>): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => {
    const named = key === 'typed_per_filter_config' && Object.keys(item as object).some((name) => filters.has(name));
    return named || overrides(item, filters);
  });
}
