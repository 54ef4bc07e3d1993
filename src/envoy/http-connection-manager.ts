import type {
  envoy_config_listener_v3_Filter as Filter,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { AccessLogs, Protocol } from '../topology/proxy-settings.ts';
import { buildFilterAccessLog } from './access-log.ts';

export type Tracing = NonNullable<HttpConnectionManager['tracing']>;

export interface HttpConnectionManagerOptions {
  readonly protocol: Protocol;
  readonly statPrefix: string;
  /** Written here, or fetched by name over RDS so that it can change without draining the listener. */
  readonly routes: { readonly inline: RouteConfiguration } | { readonly rds: string };
  /** Run before the router, in this order. */
  readonly filters?: readonly HttpFilter[];
  readonly tracing?: Tracing | undefined;
  readonly accessLogs: AccessLogs | undefined;
  /** Further settings of the connection manager itself. */
  readonly settings?: Partial<HttpConnectionManager>;
}

/** Speaks HTTP on a chain. WebSocket upgrades are always possible, as in Consul. */
export function buildHttpConnectionManager(options: HttpConnectionManagerOptions): Filter {
  const { protocol, statPrefix, routes, filters = [], tracing, accessLogs, settings } = options;
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      stat_prefix: statPrefix,
      ...('rds' in routes
        ? { rds: { route_config_name: routes.rds, config_source: { ads: {}, resource_api_version: 'V3' } } }
        : { route_config: routes.inline }),
      http_filters: [...(protocol === 'grpc' ? GRPC_FILTERS : []), ...filters, ROUTER],
      tracing: tracing ?? NO_SAMPLING,
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      ...((protocol === 'http2' || protocol === 'grpc') && { http2_protocol_options: {} }),
      ...buildFilterAccessLog(accessLogs),
      ...settings,
    }),
  };
}

/** Every request of a chain to one cluster. */
export function buildSingleRoute(names: { routeConfig: string; virtualHost: string }, route: NonNullable<RouteAction>): RouteConfiguration {
  return {
    name: names.routeConfig,
    virtual_hosts: [{ name: names.virtualHost, domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }],
  };
}

type RouteAction = NonNullable<NonNullable<NonNullable<RouteConfiguration['virtual_hosts']>[number]['routes']>[number]['route']>;

const NO_SAMPLING: Tracing = { random_sampling: {} };

const ROUTER: HttpFilter = { name: 'envoy.filters.http.router', typed_config: typed('envoy.extensions.filters.http.router.v3.Router', {}) };

const GRPC_FILTERS: readonly HttpFilter[] = [
  { name: 'envoy.filters.http.grpc_stats', typed_config: typed('envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', { stats_for_all_methods: true }) },
  { name: 'envoy.filters.http.grpc_http1_bridge', typed_config: typed('envoy.extensions.filters.http.grpc_http1_bridge.v3.Config', {}) },
];
