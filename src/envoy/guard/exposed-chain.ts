import type {
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_config_listener_v3_Listener as Listener,
} from '../../proto/generated/types.ts';
import { FREE_CHAIN_FIELDS, FREE_LISTENER_FIELDS, FREE_MANAGER_FIELDS, fieldBeyond } from './api-fields.ts';
import { TYPES } from './mesh-chain.ts';
import { sameMessage } from './same-message.ts';

/**
 * Why the listener of an exposed path, as users changed it, would let in more than that path, or undefined. It has no mTLS, so its
 * address, its audience and its routes stay as they were built.
 *
 * @param listener canonical JSON
 */
export function exposedListenerFault(listener: Listener, own: Listener): string | undefined {
  const unknown = fieldBeyond(listener, FREE_LISTENER_FIELDS, ['address', 'filter_chains']);
  if (unknown) return `it sets ${unknown}`;
  const addresses = ({ address, additional_addresses }: Listener): Listener => ({
    ...(address && { address }),
    ...(additional_addresses && { additional_addresses }),
  });
  if (!sameMessage('envoy.config.listener.v3.Listener', addresses(listener), addresses(own))) return 'it listens elsewhere';
  const [chain, ...others] = listener.filter_chains ?? [];
  const [ownChain] = own.filter_chains ?? [];
  if (!chain || others.length > 0) return 'it has other filter chains';
  const odd = fieldBeyond(chain, FREE_CHAIN_FIELDS, ['filters']);
  if (odd) return `its filter chain sets ${odd}`;
  if (!sameMessage('envoy.config.listener.v3.FilterChainMatch', chain.filter_chain_match, ownChain?.filter_chain_match)) return 'it serves another audience';
  const manager = managerOf(chain);
  if (!manager || chain.filters?.length !== 1) return 'it has other network filters';
  if (!sameMessage('envoy.config.route.v3.RouteConfiguration', manager.route_config, managerOf(ownChain)?.route_config)) return 'it has other routes';
  const strange = fieldBeyond(manager, FREE_MANAGER_FIELDS, ['@type', 'http_filters', 'route_config', 'upgrade_configs']);
  if (strange) return `its HTTP connection manager sets ${strange}`;
  const upgraded = manager.upgrade_configs?.some(({ filters }) => filters && filters.length > 0);
  return upgraded ? 'it handles an upgrade with filters of its own' : undefined;
}

function managerOf(chain: NonNullable<Listener['filter_chains']>[number] | undefined): HttpConnectionManager | undefined {
  const config = chain?.filters?.[0]?.typed_config;
  return config?.['@type'] === TYPES.manager ? (config as unknown as HttpConnectionManager) : undefined;
}
