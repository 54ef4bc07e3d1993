import type { InsertOptions } from '../../mesh/schema/extension-arguments.ts';
import type {
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_config_listener_v3_Listener as Listener,
} from '../../proto/generated/types.ts';
import { typed } from '../../proto/typed.ts';
import { DENIED } from '../names.ts';
import type { EnvoyResource } from '../resource.ts';
import type { ExtensionInput } from './extension.ts';

export type Direction = 'inbound' | 'outbound';

/** Whatever is not the public listener counts as outbound in Consul, exposed paths too. */
export function directionOf({ name }: Pick<EnvoyResource, 'name'>, publicListener: string): Direction {
  return name === publicListener ? 'inbound' : 'outbound';
}

/** The listeners of one side with every chain changed, except the one that only refuses. */
export function mapFilterChains(
  { resources, publicListener }: Pick<ExtensionInput, 'resources' | 'publicListener'>,
  direction: Direction,
  change: (chain: FilterChain) => FilterChain,
): EnvoyResource[] {
  return resources.map((resource) => {
    if (resource.type !== 'listener' || directionOf(resource, publicListener) !== direction) return resource;
    const listener = resource.body as Listener;
    const chains = listener.filter_chains?.map((chain) => (chain.name === DENIED ? chain : change(chain)));
    return { ...resource, body: { ...listener, ...(chains && { filter_chains: chains }) } };
  });
}

const HTTP_CONNECTION_MANAGER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The chain with its HTTP connection manager changed; a chain that speaks no HTTP stays as it is. */
export function mapHttpConnectionManager(chain: FilterChain, change: (manager: HttpConnectionManager) => HttpConnectionManager): FilterChain {
  const filters = chain.filters?.map((filter) => {
    const { '@type': url, ...manager } = filter.typed_config ?? { '@type': '' };
    return url.endsWith(`/${HTTP_CONNECTION_MANAGER}`) ? { ...filter, typed_config: typed(HTTP_CONNECTION_MANAGER, change(manager)) } : filter;
  });
  return { ...chain, ...(filters && { filters }) };
}

export function speaksHttp(chain: FilterChain): boolean {
  return (chain.filters ?? []).some(({ typed_config }) => typed_config?.['@type'].endsWith(`/${HTTP_CONNECTION_MANAGER}`));
}

/** Puts a filter where the options say; by default before `last`, which ends the list. Undefined: no filter of the wanted name is there. */
export function insertFilter<Filter extends { readonly name?: string }>(
  filters: readonly Filter[],
  added: Filter,
  last: string,
  options: InsertOptions,
): Filter[] | undefined {
  const location = options?.location ?? 'BeforeFirstMatch';
  if (location === 'First') return [added, ...filters];
  if (location === 'Last') return [...filters, added];
  const wanted = options?.location ? options.filter_name : last;
  const matches = filters.flatMap(({ name }, index) => (name === wanted ? [index] : []));
  const at = location.endsWith('FirstMatch') ? matches[0] : matches.at(-1);
  if (at === undefined) return undefined;
  const position = location.startsWith('After') ? at + 1 : at;
  return [...filters.slice(0, position), added, ...filters.slice(position)];
}
