import ipaddr from 'ipaddr.js';
import type {
  envoy_config_core_v3_CidrRange as CidrRange,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_config_listener_v3_FilterChainMatch as FilterChainMatch,
  envoy_config_listener_v3_Listener as Listener,
} from '../../src/proto/generated/types.ts';

/** What a listener knows of a connection before it reads the application's bytes. */
export interface Connection {
  readonly destination: { readonly address: string; readonly port: number };
  readonly source: string;
  /** Told by the TLS inspector. */
  readonly serverName?: string | undefined;
  /** Told by the TLS inspector (ALPN) or the HTTP inspector. */
  readonly applicationProtocol?: string | undefined;
}

/** How exactly a chain's match fits: 0 says nothing about it, more is more exact; undefined does not fit. */
type Fit = (match: FilterChainMatch, connection: Connection) => number | undefined;

/** In the order in which Envoy looks at them. Source: Envoy's reference of FilterChainMatch. */
const CRITERIA: readonly Fit[] = [
  (match, { destination }) => exactly(match.destination_port, destination.port),
  (match, { destination }) => longestPrefix(match.prefix_ranges, destination.address),
  (match, { serverName }) => bestServerName(match.server_names, serverName),
  (match, { serverName }) => exactly(match.transport_protocol, serverName === undefined ? 'raw_buffer' : 'tls'),
  (match, { applicationProtocol }) => oneOf(match.application_protocols, applicationProtocol),
  (match, { source }) => longestPrefix(match.source_prefix_ranges, source),
];

/**
 * The chain of a listener that takes a connection. Each criterion keeps only the chains that fit best, and there is no way back: where a later
 * one fits none of them, chains dropped earlier do not return, and the default chain takes it. Undefined: the connection is closed.
 */
export function chooseFilterChain(listener: Listener, connection: Connection): FilterChain | undefined {
  let chains = listener.filter_chains ?? [];
  for (const fit of CRITERIA) {
    const fits = chains.map((chain) => fit(chain.filter_chain_match ?? {}, connection) ?? -1);
    const best = Math.max(-1, ...fits);
    chains = best < 0 ? [] : chains.filter((_, index) => fits[index] === best);
  }
  if (chains.length > 1) throw new Error(`${listener.name}: several chains match the same, so Envoy would refuse it`);
  return chains[0] ?? listener.default_filter_chain;
}

function exactly<Value>(wanted: Value | undefined, value: Value): number | undefined {
  if (wanted === undefined) return 0;
  return wanted === value ? 1 : undefined;
}

function oneOf(wanted: readonly string[] | undefined, value: string | undefined): number | undefined {
  if (!wanted?.length) return 0;
  return value !== undefined && wanted.includes(value) ? 1 : undefined;
}

function longestPrefix(ranges: readonly CidrRange[] | undefined, address: string): number | undefined {
  if (!ranges?.length) return 0;
  const lengths = ranges.filter((range) => contains(range, address)).map(({ prefix_len = 0 }) => prefix_len + 1);
  return lengths.length > 0 ? Math.max(...lengths) : undefined;
}

function contains({ address_prefix = '', prefix_len = 0 }: CidrRange, address: string): boolean {
  const [range, tested] = [ipaddr.parse(address_prefix), ipaddr.parse(address)];
  return range.kind() === tested.kind() && tested.match(range, prefix_len);
}

function bestServerName(names: readonly string[] | undefined, serverName: string | undefined): number | undefined {
  if (!names?.length) return 0;
  if (serverName === undefined) return undefined;
  if (names.includes(serverName)) return Number.MAX_SAFE_INTEGER;
  const suffixes = names.filter((name) => name.startsWith('*.') && serverName.endsWith(name.slice(1)));
  return suffixes.length > 0 ? Math.max(...suffixes.map(({ length }) => length)) : undefined;
}
