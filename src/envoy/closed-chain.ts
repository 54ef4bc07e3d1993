import type {
  envoy_config_core_v3_Address as Address,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_config_listener_v3_Listener as Listener,
} from '../proto/generated/types.ts';

/** Takes the connections of another chain and closes them at once: Envoy has nothing to hand them to. */
export function closedChain({ name, filter_chain_match }: FilterChain = {}): FilterChain {
  return { ...(name && { name }), ...(filter_chain_match && { filter_chain_match }), filters: [] };
}

/** Listens where `listener` does and closes every connection. Whatever else the listener says is left out. */
export function closedListener({ name = '', address, additional_addresses, traffic_direction }: Listener): Listener {
  return {
    name,
    ...(address && { address: overTcp(address) }),
    ...(additional_addresses && {
      additional_addresses: additional_addresses.map((one) => ({ ...one, ...(one.address && { address: overTcp(one.address) }) })),
    }),
    ...(traffic_direction && { traffic_direction }),
    filter_chains: [closedChain()],
  };
}

function overTcp(address: Address): Address {
  const { protocol: _protocol, ...socket_address } = address.socket_address ?? {};
  return address.socket_address ? { socket_address } : address;
}
