import { isIPv6 } from 'node:net';
import type { envoy_config_core_v3_Address as Address, envoy_config_core_v3_CidrRange as CidrRange } from '../proto/generated/types.ts';

export function socketAddress(address: string, port: number): Address {
  return { socket_address: { address, port_value: port } };
}

/** `mode`: permissions of the socket, as a number; 0 leaves them to the umask. */
export function pipeAddress(path: string, mode = 0): Address {
  return { pipe: { path, ...(mode && { mode }) } };
}

/** The range that holds exactly this address. */
export function singleAddressRange(address: string): CidrRange {
  return { address_prefix: address, prefix_len: isIPv6(address) ? 128 : 32 };
}
