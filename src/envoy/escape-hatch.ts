import type { Problem } from '../mesh/problem.ts';
import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_listener_v3_Filter as Filter,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_config_listener_v3_Listener as Listener,
} from '../proto/generated/types.ts';
import { type Authorization, looksAtPaths } from '../topology/authorization.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { InboundView } from '../topology/proxy-view.ts';
import type { Tracing } from './http-connection-manager.ts';
import { authorizationFilters, requestNormalization } from './public-listener.ts';
import { buildNetworkRbac } from './rbac.ts';
import type { BuildContext } from './resource.ts';
import { buildDownstreamTls } from './tls-context.ts';
import { parseUserJson } from './user-json.ts';

/** What a user wrote instead of adsum's own, or why it is not used; then adsum's own stays. */
export interface EscapeHatch<Message> {
  readonly message?: Message;
  readonly problems: readonly Problem[];
}

export function userCluster(text: string | undefined, where: string): EscapeHatch<Cluster> {
  return read<Cluster>(text, 'envoy.config.cluster.v3.Cluster', where);
}

export function userListener(text: string | undefined, where: string): EscapeHatch<Listener> {
  return read<Listener>(text, 'envoy.config.listener.v3.Listener', where);
}

export function userTracing(text: string | undefined): EscapeHatch<Tracing> {
  return read<Tracing>(text, 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing', 'envoy_listener_tracing_json');
}

function read<Message extends object>(text: string | undefined, type: string, where: string): EscapeHatch<Message> {
  if (!text) return { problems: [] };
  const result = parseUserJson<Message>(text, type, where);
  return 'message' in result ? { message: result.message, problems: [] } : { problems: [result.problem] };
}

/**
 * A user's public listener with what no user may leave out: mTLS and authorization on every chain, the default chain included.
 * Requests are authorized where the chain speaks HTTP, else connections are, and whatever only a request could show is denied.
 */
export function securePublicListener(context: BuildContext, inbound: InboundView, listener: Listener): Listener {
  const { filter_chains: chains, default_filter_chain: defaultChain } = listener;
  return {
    ...listener,
    ...(chains && { filter_chains: chains.map((chain) => secureChain(context, inbound, chain)) }),
    ...(defaultChain && { default_filter_chain: secureChain(context, inbound, defaultChain) }),
  };
}

function secureChain(context: BuildContext, inbound: InboundView, chain: FilterChain): FilterChain {
  const filters = chain.filters ?? [];
  const managed = isHttp(inbound.protocol) && filters.some(isHttpConnectionManager);
  const secured = managed
    ? filters.map((filter) => (isHttpConnectionManager(filter) ? withAuthorization(context, inbound, filter) : filter))
    : [buildNetworkRbac(connectionsOnly(inbound.authorization), context.trustDomain), ...filters];
  return { ...chain, filters: secured, transport_socket: buildDownstreamTls(inbound.protocol, context.mesh.incomingTls, !managed) };
}

const HTTP_CONNECTION_MANAGER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

function isHttpConnectionManager({ typed_config: config }: Filter): boolean {
  return config?.['@type'] === `type.googleapis.com/${HTTP_CONNECTION_MANAGER}`;
}

function withAuthorization(context: BuildContext, inbound: InboundView, filter: Filter): Filter {
  const manager = filter.typed_config as (HttpConnectionManager & NonNullable<Filter['typed_config']>) | undefined;
  if (!manager) return filter;
  // Rules that look at paths hold for one form of each path only.
  const normalization = looksAtPaths(inbound.authorization) ? requestNormalization(context, inbound) : {};
  const http_filters = [...authorizationFilters(context, inbound), ...(manager.http_filters ?? [])];
  return { ...filter, typed_config: { ...manager, ...normalization, http_filters } };
}

/** What can be decided of a connection alone. */
export function connectionsOnly(authorization: Authorization): Authorization {
  const sources = authorization.sources.map((source) =>
    source.action === 'l7' || (source.action === 'allow' && source.jwt.length > 0) ? { ...source, action: 'deny' as const, permissions: [], jwt: [] } : source,
  );
  return { ...authorization, sources, jwtProviders: [] };
}
