import type {
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_config_listener_v3_Listener as Listener,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
  envoy_extensions_filters_network_tcp_proxy_v3_TcpProxy as TcpProxy,
} from '../../proto/generated/types.ts';
import { ORIGINAL_DESTINATION, OUTBOUND_LISTENER } from '../names.ts';
import { FREE_CHAIN_FIELDS, fieldBeyond, GUARDED_CHAIN_FIELDS } from './api-fields.ts';
import { type RoutesByName, TYPES } from './mesh-chain.ts';
import { sameMessage } from './same-message.ts';

const API = 'type.googleapis.com/envoy.extensions.filters.network';
/** Network filters that choose no cluster, beside those that are looked at. */
const CHOOSING_NOTHING: readonly string[] = [TYPES.networkRbac, TYPES.connectionLimit, `${API}.ext_authz.v3.ExtAuthz`, `${API}.wasm.v3.Wasm`];

/** Where a chain may send what it receives. */
export interface SafeTargets {
  /** Clusters that lead into the mesh, or nowhere. */
  readonly clusters: ReadonlySet<string>;
  readonly routes: RoutesByName;
}

/**
 * Why a chain that is neither the public listener's nor an exposed path's would lead to the application, or undefined. Who comes in there is
 * not authorized, so nothing but the clusters of upstreams may be behind it.
 *
 * @param chain canonical JSON
 */
export function outboundChainFault(chain: FilterChain, targets: SafeTargets): string | undefined {
  const unknown = fieldBeyond(chain, FREE_CHAIN_FIELDS, GUARDED_CHAIN_FIELDS);
  if (unknown) return `it sets ${unknown}`;
  for (const { typed_config: config } of chain.filters ?? []) {
    const type = config?.['@type'] ?? '';
    const fault =
      type === TYPES.tcpProxy
        ? tcpFault(config as TcpProxy, targets)
        : type === TYPES.manager
          ? managerFault(config as HttpConnectionManager, targets)
          : CHOOSING_NOTHING.includes(type)
            ? undefined
            : `its filter ${type || '(fetched from elsewhere)'} may lead anywhere`;
    if (fault) return fault;
  }
  return undefined;
}

/** Only the outbound listener passes connections on, and only where and as it was built: others would ask the caller where to. */
export function passesOn(listener: Listener, own: Listener | undefined): boolean {
  const parts = ({ address, additional_addresses, listener_filters, use_original_dst }: Listener): Listener => ({
    ...(address && { address }),
    ...(additional_addresses && { additional_addresses }),
    ...(listener_filters && { listener_filters }),
    ...(use_original_dst && { use_original_dst }),
  });
  return own?.name?.startsWith(`${OUTBOUND_LISTENER}:`) === true && sameMessage('envoy.config.listener.v3.Listener', parts(listener), parts(own));
}

/** The targets without the cluster that dials whatever address a connection was meant for. */
export function withoutOriginalDestination({ clusters, routes }: SafeTargets): SafeTargets {
  return { clusters: new Set([...clusters].filter((name) => name !== ORIGINAL_DESTINATION)), routes };
}

function tcpFault({ cluster, weighted_clusters: weighted }: TcpProxy, targets: SafeTargets): string | undefined {
  return unsafeCluster([cluster, ...(weighted?.clusters ?? []).map(({ name }) => name)], targets);
}

function managerFault(manager: HttpConnectionManager, targets: SafeTargets): string | undefined {
  if (manager.scoped_routes) return 'its routes come from elsewhere';
  if (manager.upgrade_configs?.some(({ filters }) => filters && filters.length > 0)) return 'it handles an upgrade with filters of its own';
  // Routes by name are looked at where they are defined; those of another source nobody here has seen.
  if (manager.rds && !manager.rds.config_source?.ads) return 'its routes come from elsewhere';
  return manager.route_config && routeFault(manager.route_config, targets);
}

/** Why routes would lead to the application. @param config canonical JSON */
export function routeFault(config: RouteConfiguration, targets: SafeTargets): string | undefined {
  if (config.vhds) return 'its virtual hosts come from elsewhere';
  const found = { clusters: [] as string[], odd: undefined as string | undefined };
  collectClusters(config, found);
  return found.odd ? `a route of it sets ${found.odd}` : unsafeCluster(found.clusters, targets);
}

/** Fields in which a route names a cluster, wherever in a route configuration it stands. */
const NAMING = ['cluster'];
/** Fields by which the caller, or code, names one. */
const CHOOSING = ['cluster_header', 'cluster_specifier_plugin', 'inline_cluster_specifier_plugin', 'cluster_specifier_plugins'];

function collectClusters(value: unknown, found: { clusters: string[]; odd: string | undefined }): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (CHOOSING.includes(key)) found.odd = key;
    else if (NAMING.includes(key) && typeof item === 'string') found.clusters.push(item);
    else if (key === 'weighted_clusters') {
      const { clusters = [] } = item as { clusters?: readonly { name?: string; cluster_header?: string }[] };
      for (const { name, cluster_header } of clusters) {
        if (cluster_header) found.odd = 'cluster_header';
        found.clusters.push(name ?? '');
      }
    } else if (key !== 'typed_per_filter_config' && key !== 'metadata') collectClusters(item, found);
  }
}

function unsafeCluster(names: readonly (string | undefined)[], { clusters }: SafeTargets): string | undefined {
  const unsafe = names.find((name) => name !== undefined && !clusters.has(name));
  return unsafe === undefined ? undefined : `it leads to ${unsafe}, which is no upstream`;
}
