import type { EnvoyResource } from '../../src/envoy/resource.ts';
import { decode, encodeUnknown } from '../../src/proto/codec.ts';
import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_listener_v3_Filter as Filter,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_config_listener_v3_Listener as Listener,
  envoy_config_rbac_v3_RBAC as Rbac,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
} from '../../src/proto/generated/types.ts';
import type { ProxyView } from '../../src/topology/proxy-view.ts';
import { rbacAllows, textMatches } from './rbac-evaluator.ts';

/** Everything a sidecar has, and how it says it: as Envoy decodes it. */
interface Decoded {
  readonly view: ProxyView;
  readonly listeners: readonly Listener[];
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  /** Identities that pass the `callers` secret. */
  readonly callers: (identity: string) => boolean;
}

/** Who tries: with a leaf of the mesh, or without any. */
export interface Intruder {
  /** Undefined: no certificate. */
  readonly identity: string | undefined;
  readonly method: string;
  readonly path: string;
}

/**
 * The ways in which somebody reaches the application through a sidecar, in words; empty where none does. Written apart from the guard: where this
 * does not know what a filter does, it takes it for open. Of what matches a request only the RBAC is evaluated: each chain and route may be chosen.
 *
 * @param sans who may finish a handshake that the `callers` secret decides
 */
export function openChains(
  view: ProxyView,
  resources: readonly EnvoyResource[],
  intruder: Intruder,
  sans: readonly { matcher?: object }[] | undefined,
): string[] {
  const of = (type: EnvoyResource['type']) => resources.filter((resource) => resource.type === type);
  const roundTrip = <Body>(name: string, body: object) => decode(name as never, encodeUnknown(name, body)) as Body;
  const decoded: Decoded = {
    view,
    listeners: of('listener').map(({ body }) => roundTrip<Listener>('envoy.config.listener.v3.Listener', body)),
    clusters: new Map(
      of('cluster')
        .map(({ body }) => roundTrip<Cluster>('envoy.config.cluster.v3.Cluster', body))
        .map((cluster) => [cluster.name ?? '', cluster]),
    ),
    routes: new Map(of('route').map(({ name, body }) => [name, roundTrip<RouteConfiguration>('envoy.config.route.v3.RouteConfiguration', body)])),
    callers: (identity) => sans?.some(({ matcher }) => textMatches(matcher as never, identity)) ?? false,
  };
  return decoded.listeners.flatMap((listener) => waysThrough(decoded, listener, intruder).map((way) => `${listener.name}: ${way}`));
}

function waysThrough(decoded: Decoded, listener: Listener, intruder: Intruder): string[] {
  if (listener.api_listener || listener.udp_listener_config || listener.address?.socket_address?.protocol === 'UDP') return ['receives without filter chains'];
  if (listener.deprecated_v1 || listener.use_original_dst) return ['hands connections to other listeners'];
  const chains = [...(listener.filter_chains ?? []), ...(listener.default_filter_chain ? [listener.default_filter_chain] : [])];
  return chains.flatMap((chain) => {
    if (chain.on_demand_configuration) return ['chain from elsewhere'];
    if (isMeantToBeOpen(decoded, listener, chain)) return [];
    return passesHandshake(decoded, chain, intruder) ? throughFilters(decoded, listener, chain.filters ?? [], intruder) : [];
  });
}

/** Permissive mode, and exposed paths as long as they lead nowhere else. */
function isMeantToBeOpen({ view }: Decoded, listener: Listener, chain: FilterChain): boolean {
  const { permissivePort } = view.inbound;
  const match = JSON.stringify(chain.filter_chain_match ?? {});
  if (permissivePort !== undefined && listener.name?.startsWith('public_listener') && match === JSON.stringify({ destination_port: permissivePort }))
    return true;
  const exposed = view.inbound.exposedPaths.find(
    ({ listenerPort }) => listener.name?.startsWith('exposed_path_') && listener.name.endsWith(`:${listenerPort}`),
  );
  const manager = chain.filters?.[0]?.typed_config as HttpConnectionManager | undefined;
  const paths = manager?.route_config?.virtual_hosts?.flatMap(({ routes = [] }) => routes.map((route) => route.match?.path));
  const audience = exposed?.audience === 'anybody' || chain.filter_chain_match?.source_prefix_ranges !== undefined;
  return (
    exposed !== undefined &&
    audience &&
    listener.address?.socket_address?.port_value === exposed.listenerPort &&
    !listener.listener_filters &&
    chain.filters?.length === 1 &&
    !(manager?.upgrade_configs ?? []).some(({ filters }) => filters?.length) &&
    !manager?.early_header_mutation_extensions &&
    paths?.length === 1 &&
    paths[0] === exposed.path
  );
}

function passesHandshake({ callers }: Decoded, { transport_socket: socket }: FilterChain, { identity }: Intruder): boolean {
  if (!socket) return true;
  const context = socket.typed_config as
    | {
        '@type': string;
        require_client_certificate?: boolean;
        common_tls_context?: { validation_context_sds_secret_config?: { name?: string; sds_config?: { ads?: object } } };
      }
    | undefined;
  if (!context?.['@type'].endsWith('.DownstreamTlsContext')) return true;
  const { name, sds_config } = context.common_tls_context?.validation_context_sds_secret_config ?? {};
  const verifies = context.require_client_certificate && (name === 'roots' || name === 'callers') && sds_config?.ads;
  if (!verifies) return true;
  return identity !== undefined && (name === 'roots' || callers(identity));
}

const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network.';

function throughFilters(decoded: Decoded, listener: Listener, filters: readonly Filter[], intruder: Intruder): string[] {
  for (const { typed_config: config } of filters) {
    const type = config?.['@type'];
    if (type === `${NETWORK}rbac.v3.RBAC`) {
      const rules = (config as { rules?: Rbac }).rules;
      if (rules && !rbacAllows(rules, asRequest(intruder))) return [];
    } else if (type === `${NETWORK}http_connection_manager.v3.HttpConnectionManager`)
      return throughManager(decoded, listener, config as HttpConnectionManager, intruder);
    else if (type === `${NETWORK}tcp_proxy.v3.TcpProxy`) {
      const { cluster, weighted_clusters: weighted } = config as { cluster?: string; weighted_clusters?: { clusters?: { name?: string }[] } };
      return [cluster, ...(weighted?.clusters ?? []).map(({ name }) => name)].flatMap((name) =>
        isApplication(decoded, listener, name) ? [`tcp to ${name}`] : [],
      );
    } else if (type === `${NETWORK}connection_limit.v3.ConnectionLimit` || type === `${NETWORK}ext_authz.v3.ExtAuthz`) continue;
    else return [`through ${type}`];
  }
  return [];
}

function asRequest({ identity = '', method, path }: Intruder) {
  return { identity, method, path, headers: {}, tokens: {} };
}

function throughManager(decoded: Decoded, listener: Listener, manager: HttpConnectionManager, intruder: Intruder): string[] {
  const config = manager.route_config ?? (manager.rds?.config_source?.ads ? decoded.routes.get(manager.rds.route_config_name ?? '') : undefined);
  if (manager.scoped_routes || (manager.rds && !manager.rds.config_source?.ads) || config?.vhds) return ['routes from elsewhere'];
  const leads = config ? clustersIn(config).filter((name) => name === ANYWHERE || isApplication(decoded, listener, name)) : [];
  if (leads.length === 0) return [];
  const upgraded = (manager.upgrade_configs ?? []).flatMap(({ filters }) => (filters?.length ? [filters] : []));
  const stacks = [manager.http_filters ?? [], ...upgraded];
  const passed = stacks.filter((filters) => !isStopped(decoded, filters, config ?? {}, intruder, manager));
  return passed.length > 0 ? [`HTTP to ${leads.join(', ')}`] : [];
}

const HTTP = 'type.googleapis.com/envoy.extensions.filters.http.';
/** They neither answer nor change what RBAC looks at. */
const HARMLESS = [`${HTTP}grpc_stats.v3.FilterConfig`, `${HTTP}grpc_http1_bridge.v3.Config`, `${HTTP}jwt_authn.v3.JwtAuthentication`];

function isStopped(
  { view }: Decoded,
  filters: NonNullable<HttpConnectionManager['http_filters']>,
  routes: RouteConfiguration,
  intruder: Intruder,
  manager: HttpConnectionManager,
): boolean {
  for (const { name = '', typed_config: config, disabled } of filters) {
    const type = config?.['@type'] ?? '';
    if (type === `${HTTP}rbac.v3.RBAC` && !disabled && !hasOverride(routes, name)) {
      const rules = (config as { rules?: Rbac }).rules;
      const looksAtPaths = JSON.stringify(rules).includes('url_path');
      const oneForm =
        !looksAtPaths || view.context.mesh.requestNormalization?.insecure_disable_path_normalization || (manager.normalize_path && manager.merge_slashes);
      return rules !== undefined && !!oneForm && !rbacAllows(rules, asRequest(intruder));
    }
    if (!HARMLESS.includes(type)) return false;
  }
  return false;
}

function hasOverride(value: unknown, filter: string): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => (key === 'typed_per_filter_config' && Object.hasOwn(item as object, filter)) || hasOverride(item, filter));
}

const ANYWHERE = '(chosen by the caller)';

function clustersIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    if (key.includes('cluster_specifier') || key === 'cluster_header') return [ANYWHERE];
    if (key === 'cluster') return [String(item)];
    if (key === 'weighted_clusters') return ((item as { clusters?: { name?: string }[] }).clusters ?? []).map((one) => one.name ?? ANYWHERE);
    return clustersIn(item);
  });
}

/** Whether a cluster dials something on this host without the mesh's TLS, or may. */
function isApplication(decoded: Decoded, listener: Listener, name: string | undefined, seen: readonly string[] = []): boolean {
  const cluster = decoded.clusters.get(name ?? '');
  if (!cluster || seen.includes(name ?? '')) return false;
  const members = (cluster.cluster_type?.typed_config as { clusters?: string[] } | undefined)?.clusters;
  if (members) return members.some((member) => isApplication(decoded, listener, member, [...seen, name ?? '']));
  const tls = cluster.transport_socket?.typed_config as { '@type'?: string; common_tls_context?: object } | undefined;
  const verifies =
    tls?.['@type']?.endsWith('.UpstreamTlsContext') && /"validation_context_sds_secret_config":\{"name":"roots"/.test(JSON.stringify(tls.common_tls_context));
  if (verifies && !cluster.transport_socket_matches?.length) return false;
  if (cluster.type === 'ORIGINAL_DST') {
    // The outbound listener hands on what local programs dial; elsewhere the caller would say where to.
    const asBuilt = listener.name?.startsWith('outbound_listener:') && JSON.stringify(listener.listener_filters?.[0]).includes('OriginalDst');
    const loopback = ['127.0.0.1', '::1'].includes(listener.address?.socket_address?.address ?? '');
    return !(
      asBuilt &&
      loopback &&
      (listener.listener_filters ?? []).every(({ name: filter }) => filter?.startsWith('envoy.filters.listener.')) &&
      !cluster.original_dst_lb_config
    );
  }
  return cluster.type === 'EDS' ? false : (cluster.load_assignment?.endpoints ?? []).length > 0;
}
