import { isIP } from 'node:net';
import type { Problem } from '../mesh/problem.ts';
import type {
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_config_listener_v3_FilterChainMatch as FilterChainMatch,
  envoy_config_listener_v3_Listener as Listener,
  envoy_config_listener_v3_ListenerFilter as ListenerFilter,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import { chainStatName, destinationClusterName } from '../topology/names.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { DestinationView, DirectDial, TransparentView, UpstreamView } from '../topology/proxy-view.ts';
import { buildListenerAccessLog } from './access-log.ts';
import { singleAddressRange, socketAddress } from './address.ts';
import { httpDestinationRouteName } from './destination.ts';
import { keepDistinctChains } from './filter-chains.ts';
import { buildHttpConnectionManager } from './http-connection-manager.ts';
import { DENIED, listenerName, ORIGINAL_DESTINATION, OUTBOUND_LISTENER, passthroughClusterName, statPrefix, UPSTREAM_STAT_PREFIX } from './names.ts';
import type { BuildContext } from './resource.ts';
import { buildTcpProxy } from './tcp-proxy.ts';
import { buildUpstreamFilterChain } from './upstream-filter-chain.ts';

/**
 * Receives every connection that was captured from the application, and tells by its original destination what was meant: a virtual
 * address of an upstream, an instance dialed directly, an address outside that a gateway leads to, something that is refused, or
 * something that is none of the mesh's business.
 *
 * Undefined where it would hold nothing: then nobody listens, and a captured connection is refused by the kernel.
 */
export function buildOutboundListener(
  context: BuildContext,
  upstreams: readonly UpstreamView[],
  transparent: TransparentView,
): { listener: Listener | undefined; problems: readonly Problem[] } {
  const byAddress = [...upstreamChains(context, upstreams), ...directDialChains(context, transparent)];
  const byPort = destinationChains(context, transparent);
  if (byAddress.length + byPort.length === 0 && !transparent.passOthersOn) return { listener: undefined, problems: [] };
  const name = listenerName(OUTBOUND_LISTENER, LOOPBACK, transparent.outboundPort);
  const denied = deniedChain(context, transparent);
  const again = repeatForPortsOf(byPort, [...byAddress, denied]);
  const { chains, problems } = keepDistinctChains([...byAddress, ...byPort, denied, ...again], name);
  const listener: Listener = {
    name,
    address: socketAddress(LOOPBACK, transparent.outboundPort),
    // Redirected IPv6 connections arrive at ::1.
    ...(context.traits.ipv6 && { additional_addresses: [{ address: socketAddress('::1', transparent.outboundPort) }] }),
    traffic_direction: 'OUTBOUND',
    listener_filters: [ORIGINAL_DST, ...inspectors(transparent)],
    filter_chains: chains,
    ...(transparent.passOthersOn && { default_filter_chain: passOnChain(context) }),
    ...buildListenerAccessLog(context.accessLogs),
  };
  return { listener, problems };
}

const LOOPBACK = '127.0.0.1';

/**
 * Where this listener itself is dialed. Connections to loopback are never captured, so one that arrives with such a destination was made
 * to the listener's own port; passed on to its destination it would arrive here again, and again, until Envoy has no descriptor left.
 */
const OWN_ADDRESSES: readonly string[] = [LOOPBACK, '::1'];

/** Recovers the address that the connection was meant for before it was redirected. */
export const ORIGINAL_DST: ListenerFilter = {
  name: 'envoy.filters.listener.original_dst',
  typed_config: typed('envoy.extensions.filters.listener.original_dst.v3.OriginalDst', {}),
};

/** One chain per upstream, for all its virtual addresses and any port: a virtual address means the service, whatever the port. */
function upstreamChains(context: BuildContext, upstreams: readonly UpstreamView[]): FilterChain[] {
  return upstreams
    .filter(({ virtualAddresses }) => virtualAddresses.length > 0)
    .map((upstream) => ({ filter_chain_match: matchAddresses(upstream.virtualAddresses), ...buildUpstreamFilterChain(context, upstream) }));
}

/** Always tcp, even where the service speaks HTTP: the application chose the instance, so there is nothing to route. */
function directDialChains({ datacenter, accessLogs }: BuildContext, { directDials }: TransparentView): FilterChain[] {
  const captured = directDials.map((dial: DirectDial) => ({ ...dial, addresses: dial.addresses.filter((address) => !OWN_ADDRESSES.includes(address)) }));
  const dialed = captured.filter(({ addresses }) => addresses.length > 0);
  return dialed.map((dial) => ({
    filter_chain_match: matchAddresses(dial.addresses),
    filters: [
      buildTcpProxy({
        cluster: passthroughClusterName(dial.sni),
        statPrefix: statPrefix(UPSTREAM_STAT_PREFIX, chainStatName(dial.service, datacenter)),
        accessLogs,
        idleTimeout: NEVER,
      }),
    ],
  }));
}

/** Addresses outside the mesh: tcp by address or server name; for HTTP one chain per port, whose routes go by host. */
function destinationChains(context: BuildContext, { destinations }: TransparentView): FilterChain[] {
  const http = destinations.filter(({ protocol }) => isHttp(protocol));
  const ports = new Map(http.map((destination) => [destination.port, destination]));
  return [
    ...destinations.filter(({ protocol }) => !isHttp(protocol)).flatMap((destination) => tcpDestinationChains(context, destination)),
    ...[...ports].map(([port, { protocol }]) => {
      const routeName = httpDestinationRouteName(context, port);
      const filter = buildHttpConnectionManager({
        protocol,
        statPrefix: statPrefix(UPSTREAM_STAT_PREFIX, routeName),
        routes: { rds: routeName },
        tracing: context.tracing,
        accessLogs: context.accessLogs,
      });
      return { filter_chain_match: { destination_port: port }, filters: [filter] };
    }),
  ];
}

function tcpDestinationChains(context: BuildContext, { service, addresses, port }: DestinationView): FilterChain[] {
  return addresses.map((address) => {
    const cluster = destinationClusterName(service, address, context);
    const match = isIP(address) !== 0 ? { prefix_ranges: [singleAddressRange(address)] } : { server_names: [address] };
    return {
      filter_chain_match: { ...match, destination_port: port },
      filters: [buildTcpProxy({ cluster, statPrefix: statPrefix(UPSTREAM_STAT_PREFIX, cluster), accessLogs: context.accessLogs })],
    };
  });
}

/**
 * Envoy looks at ports before addresses and does not come back: on a port that one chain names, only chains that name it count. So what holds
 * on every port is repeated for each of those; otherwise a destination on port 443 would take that port away from every virtual address,
 * and what is denied would be passed on there.
 */
function repeatForPortsOf(named: readonly FilterChain[], everywhere: readonly FilterChain[]): FilterChain[] {
  const ports = new Set(named.map(({ filter_chain_match: match }) => match?.destination_port ?? 0));
  return [...ports].flatMap((port) =>
    everywhere.map((chain) => ({
      ...chain,
      ...(chain.name && { name: `${chain.name}:${port}` }),
      filter_chain_match: { ...chain.filter_chain_match, destination_port: port },
    })),
  );
}

function inspectors({ destinations }: TransparentView): ListenerFilter[] {
  const byServerName = destinations.some(({ protocol, addresses }) => !isHttp(protocol) && addresses.some((address) => isIP(address) === 0));
  const byHost = destinations.some(({ protocol }) => isHttp(protocol));
  return [...(byServerName ? [TLS_INSPECTOR] : []), ...(byHost ? [HTTP_INSPECTOR] : [])];
}

const TLS_INSPECTOR: ListenerFilter = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: typed('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', {}),
};

const HTTP_INSPECTOR: ListenerFilter = {
  name: 'envoy.filters.listener.http_inspector',
  typed_config: typed('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', {}),
};

/**
 * Closes at once what the proxy may not reach, and whoever dials this listener itself. More specific chains win over it. It must not match a port alone: that would take the port
 * away from all chains that name none.
 */
function deniedChain({ accessLogs }: BuildContext, { deniedRanges }: TransparentView): FilterChain {
  const own = OWN_ADDRESSES.map(singleAddressRange);
  const elsewhere = deniedRanges.filter(({ address }) => !OWN_ADDRESSES.includes(address));
  return {
    name: DENIED,
    filter_chain_match: { prefix_ranges: [...elsewhere.map(({ address, prefixLength }) => ({ address_prefix: address, prefix_len: prefixLength })), ...own] },
    filters: [buildTcpProxy({ cluster: DENIED, statPrefix: DENIED, accessLogs })],
  };
}

function passOnChain({ accessLogs }: BuildContext): FilterChain {
  const prefix = statPrefix(UPSTREAM_STAT_PREFIX, ORIGINAL_DESTINATION);
  return { filters: [buildTcpProxy({ cluster: ORIGINAL_DESTINATION, statPrefix: prefix, accessLogs, idleTimeout: NEVER })] };
}

/** The application's own connection, to its own destination: how long it may be silent is not the proxy's affair. */
const NEVER = '0s';

function matchAddresses(addresses: readonly string[]): FilterChainMatch {
  return { prefix_ranges: addresses.map(singleAddressRange) };
}
