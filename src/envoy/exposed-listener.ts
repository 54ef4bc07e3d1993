import type {
  envoy_config_listener_v3_FilterChainMatch as FilterChainMatch,
  envoy_config_route_v3_HeaderMatcher as HeaderMatcher,
  envoy_config_listener_v3_Listener as Listener,
} from '../proto/generated/types.ts';
import type { ExposedPath } from '../topology/exposed-paths.ts';
import type { InboundView } from '../topology/proxy-view.ts';
import { buildListenerAccessLog } from './access-log.ts';
import { singleAddressRange, socketAddress } from './address.ts';
import { buildHttpConnectionManager } from './http-connection-manager.ts';
import { exposedClusterName, exposedFilterName, exposedListenerName, LOCAL_APP } from './names.ts';
import type { BuildContext } from './resource.ts';
import { escapeRegex } from './spiffe-regex.ts';

/** One path of the application without mTLS: for health checks and metrics, on a port of its own. */
export function buildExposedListener({ accessLogs, traits }: BuildContext, inbound: InboundView, exposed: ExposedPath): Listener {
  const { path, protocol, listenerPort, methods } = exposed;
  const { bindAddress } = inbound;
  const name = exposedFilterName(path, listenerPort);
  const inline = {
    name,
    virtual_hosts: [{ name, domains: ['*'], routes: [{ match: { path, headers: [isOneOf(methods)] }, route: { cluster: exposedCluster(inbound, exposed) } }] }],
  };
  return {
    name: exposedListenerName(path, bindAddress, listenerPort),
    address: socketAddress(bindAddress, listenerPort),
    ...(traits.ipv6 && bindAddress === '0.0.0.0' && { additional_addresses: [{ address: socketAddress('::', listenerPort) }] }),
    traffic_direction: 'INBOUND',
    filter_chains: [
      {
        ...audienceMatch(exposed),
        filters: [buildHttpConnectionManager({ protocol, statPrefix: name, routes: { inline }, accessLogs })],
      },
    ],
    ...buildListenerAccessLog(accessLogs),
  };
}

function isOneOf(methods: readonly string[]): HeaderMatcher {
  return { name: ':method', string_match: { safe_regex: { regex: methods.map(escapeRegex).join('|') } } };
}

/** The application's main port already has a cluster. */
export function exposedCluster({ localApp }: InboundView, { localPort }: ExposedPath): string {
  return localPort === localApp.port ? LOCAL_APP : exposedClusterName(localPort);
}

/** Checks are for the agent, which asks from its own address or over loopback. */
function audienceMatch({ audience }: ExposedPath): { filter_chain_match?: FilterChainMatch } {
  if (audience === 'anybody') return {};
  const ranges = [{ address_prefix: '127.0.0.1', prefix_len: 8 }, singleAddressRange(audience.agentAddress), singleAddressRange('::1')];
  return { filter_chain_match: { source_prefix_ranges: ranges } };
}
