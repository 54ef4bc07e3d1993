import type {
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_config_listener_v3_Listener as Listener,
  envoy_config_listener_v3_ListenerFilter as ListenerFilter,
} from '../../proto/generated/types.ts';
import type { ProxyView } from '../../topology/proxy-view.ts';
import { closedChain, closedListener } from '../closed-chain.ts';
import { authorizationFilters } from '../public-listener.ts';
import { FREE_LISTENER_FIELDS, fieldBeyond, GUARDED_LISTENER_FIELDS } from './api-fields.ts';
import { meshChainFault, type RoutesByName, TYPES } from './mesh-chain.ts';
import { sameMessage } from './same-message.ts';

/** A listener after the guard, and what was closed in it. */
export interface Guarded<Body> {
  readonly body: Body;
  readonly faults: readonly string[];
}

/**
 * The public listener as Envoy may have it: each chain of it demands a client certificate and holds its authorization in force, or it closes its
 * connections. Filters that users put before the authorization come right after it instead.
 *
 * @param listener canonical JSON
 */
export function guardPublicListener(view: ProxyView, listener: Listener, routes: RoutesByName): Guarded<Listener> {
  const fault = listenerFault(listener);
  if (fault) return { body: closedListener(listener), faults: [fault] };
  const faults: string[] = [];
  const guard = (written: FilterChain): FilterChain => {
    if (isPermissive(view, listener, written)) return written;
    const chain = authorizedFirst(view, written);
    const reason = meshChainFault(view, chain, routes);
    if (reason === undefined) return chain;
    faults.push(`a filter chain is closed: ${reason}`);
    return closedChain(chain);
  };
  const { filter_chains: chains, default_filter_chain: defaultChain } = listener;
  const body = { ...listener, ...(chains && { filter_chains: chains.map(guard) }), ...(defaultChain && { default_filter_chain: guard(defaultChain) }) };
  return { body, faults };
}

/** Why it would receive otherwise than over TCP and through its filter chains, or what else about it nobody has thought about. */
export function listenerFault(listener: Listener, free: readonly string[] = []): string | undefined {
  const unknown = fieldBeyond(listener, FREE_LISTENER_FIELDS, GUARDED_LISTENER_FIELDS, free);
  if (unknown) return `it is closed: it sets ${unknown}`;
  const addresses = [listener.address, ...(listener.additional_addresses ?? []).map(({ address }) => address)];
  const odd = addresses.some((address) => address?.socket_address?.protocol === 'UDP');
  if (odd) return 'it is closed: it does not listen for TCP';
  return listener.listener_filters?.every(isKnownListenerFilter) === false ? 'it is closed: a listener filter comes from elsewhere' : undefined;
}

const LISTENER_FILTERS = ['http_inspector.v3.HttpInspector', 'original_dst.v3.OriginalDst', 'tls_inspector.v3.TlsInspector'].map(
  (name) => `type.googleapis.com/envoy.extensions.filters.listener.${name}`,
);

function isKnownListenerFilter({ typed_config }: ListenerFilter): boolean {
  return LISTENER_FILTERS.includes(typed_config?.['@type'] ?? '');
}

/** Where the mesh lets plain connections to the application's own port in, nobody is authorized there. */
function isPermissive(
  { inbound }: ProxyView,
  { listener_filters: inspectors = [] }: Listener,
  { filter_chain_match: match, transport_socket }: FilterChain,
): boolean {
  const { permissivePort } = inbound;
  if (permissivePort === undefined || transport_socket) return false;
  const recovers = inspectors.some(({ typed_config }) => typed_config?.['@type'] === LISTENER_FILTERS[1]);
  return recovers && sameMessage('envoy.config.listener.v3.FilterChainMatch', match, { destination_port: permissivePort });
}

/** The chain with the authorization of requests in front of the filters that users put there. */
function authorizedFirst(view: ProxyView, chain: FilterChain): FilterChain {
  const authorization = new Set(authorizationFilters(view.context, view.inbound).map(({ name }) => name));
  const filters = chain.filters?.map((filter) => {
    if (filter.typed_config?.['@type'] !== TYPES.manager) return filter;
    const manager = filter.typed_config as HttpConnectionManager & NonNullable<typeof filter.typed_config>;
    const all = manager.http_filters ?? [];
    const own = all.findIndex(
      ({ typed_config, config_discovery }) => config_discovery || ![TYPES.grpcStats, TYPES.grpcBridge].includes((typed_config?.['@type'] ?? '') as never),
    );
    const rest = own < 0 ? [] : all.slice(own);
    const http_filters = [
      ...all.slice(0, all.length - rest.length),
      ...rest.filter(({ name }) => authorization.has(name)),
      ...rest.filter(({ name }) => !authorization.has(name)),
    ];
    return { ...filter, typed_config: { ...manager, http_filters } };
  });
  return { ...chain, ...(filters && { filters }) };
}
