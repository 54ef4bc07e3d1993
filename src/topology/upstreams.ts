import type { Instance } from '../mesh/instance.ts';
import { parseInstanceFilter } from '../mesh/instance-filter/instance-filter.ts';
import type { Problem } from '../mesh/problem.ts';
import type { Upstream } from '../mesh/schema/upstream.ts';
import { chainOf } from './chains.ts';
import type { ChainOverrides, ChainTarget, CompiledChain } from './discovery-chain/chain.ts';
import { type Endpoint, resolveEndpoints } from './endpoints.ts';
import { ANY_SERVICE } from './intentions.ts';
import { upstreamName } from './names.ts';
import { type ProxySettings, parseProtocol } from './proxy-settings.ts';
import type { ChainUpstream, UpstreamListener, UpstreamView } from './proxy-view.ts';
import type { Topology } from './topology.ts';
import { resolveUpstreamSettings, type UpstreamSettings } from './upstream-settings.ts';
import { virtualAddressesOf } from './virtual-addresses.ts';

export interface ResolvedUpstreams {
  /** By name. */
  readonly upstreams: readonly UpstreamView[];
  readonly problems: readonly Problem[];
}

/**
 * Whom a sidecar calls: its explicit upstreams, and if it is transparent every service that intentions let it call. An explicit
 * upstream is there even when it is denied, because the destination decides. A service is never its own upstream.
 */
export function resolveUpstreams(topology: Topology, proxy: Instance, settings: ProxySettings): ResolvedUpstreams {
  const self = proxy.proxy?.destination_service_name ?? '';
  const transparent = settings.mode === 'transparent';
  const callable = transparent ? new Set(callableServices(topology, self)) : new Set<string>();
  const byName = new Map<string, UpstreamView>();
  const problems: Problem[] = [];

  const add = ({ upstream, problems: found }: ResolvedUpstream) => {
    problems.push(...found);
    if (upstream) byName.set(upstream.name, upstream);
  };
  for (const explicit of proxy.proxy?.upstreams ?? []) {
    const name = nameOf(explicit);
    if (byName.has(name)) problems.push(duplicateUpstream(proxy, name));
    else add(resolveExplicit(topology, proxy, settings, explicit, callable));
  }
  for (const service of callable) if (!byName.has(service)) add(resolveImplicit(topology, settings, self, service));
  return { upstreams: [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), problems };
}

/** Without an `upstream` it cannot be reached as it is configured; the problems say why. */
interface ResolvedUpstream {
  readonly upstream?: UpstreamView;
  readonly problems: readonly Problem[];
}

/**
 * The services that intentions let `self` call, itself left out. A name for outside addresses is dialed by those, so it is among them
 * only where everything is.
 */
export function callableServices(topology: Topology, self: string): readonly string[] {
  return topology.once(`callable/${self}`, () => {
    const services = topology.callableBy(self).filter((service) => !topology.destinations.has(service));
    const outside = topology.intentions.mayCall(self, ANY_SERVICE) ? [...topology.destinations.keys()] : [];
    return [...services, ...outside].filter((service) => service !== self);
  });
}

function resolveImplicit(topology: Topology, proxySettings: ProxySettings, self: string, service: string): ResolvedUpstream {
  const settings = resolveUpstreamSettings(topology.mesh, self, service);
  const virtualAddresses = virtualAddressesOf(topology, service);
  return viewOf(topology, proxySettings, topology.datacenter, { name: service, service, settings, listener: undefined, virtualAddresses });
}

function resolveExplicit(
  topology: Topology,
  proxy: Instance,
  proxySettings: ProxySettings,
  explicit: Upstream,
  callable: ReadonlySet<string>,
): ResolvedUpstream {
  const service = explicit.destination_name;
  const name = nameOf(explicit);
  const settings = resolveUpstreamSettings(topology.mesh, proxy.proxy?.destination_service_name ?? '', service, explicit);
  const listener = listenerOf(explicit);
  if (explicit.destination_type === 'prepared_query') {
    const protocol = parseProtocol(settings.protocol) ?? 'tcp';
    return { upstream: { name, service, protocol, settings, route: { type: 'prepared-query' }, listener, virtualAddresses: [] }, problems: [] };
  }
  // Captured traffic to its virtual addresses reaches it as well, unless nothing lets this proxy call it. An upstream that names a
  // datacenter, be it this one, stands beside the one that captured traffic goes to.
  const captured = !explicit.datacenter && (callable.has(service) || (proxySettings.mode === 'transparent' && !listener));
  const virtualAddresses = captured ? virtualAddressesOf(topology, service) : [];
  return viewOf(topology, proxySettings, explicit.datacenter || topology.datacenter, { name, service, settings, listener, virtualAddresses });
}

function viewOf(topology: Topology, proxySettings: ProxySettings, datacenter: string, upstream: Omit<UpstreamView, 'protocol' | 'route'>): ResolvedUpstream {
  const { chain, problems } = chainOf(topology, upstream.service, datacenter, overridesOf(upstream.settings, proxySettings));
  if (!chain) return { problems };
  const protocol = parseProtocol(upstream.settings.protocol) ?? parseProtocol(chain.protocol) ?? 'tcp';
  const route = topology.once(`chain-upstream/${chainKey(chain)}`, () => resolveChainUpstream(topology, chain));
  return { upstream: { ...upstream, protocol, route }, problems };
}

function nameOf({ destination_type: type = 'service', destination_name: name, datacenter }: Upstream): string {
  return upstreamName({ type, name, ...(datacenter && { datacenter }) });
}

function overridesOf(settings: UpstreamSettings, proxySettings: ProxySettings): ChainOverrides {
  const mode = settings.mesh_gateway?.mode ?? proxySettings.meshGatewayMode;
  return {
    ...(settings.protocol && { protocol: settings.protocol }),
    ...(settings.connect_timeout_ms && { connect_timeout_ms: settings.connect_timeout_ms }),
    ...(mode && { mesh_gateway_mode: mode }),
  };
}

function chainKey(chain: CompiledChain): string {
  return `${chain.service}/${chain.datacenter}/${chain.customization_hash ?? ''}`;
}

function resolveChainUpstream(topology: Topology, chain: CompiledChain): ChainUpstream {
  const endpoints = new Map<string, readonly Endpoint[]>();
  for (const target of chain.targets.values()) {
    const known = endpointsOf(topology, target);
    if (known) endpoints.set(target.id, known);
  }
  return { type: 'chain', chain, endpoints };
}

/** Undefined for another datacenter: who runs there is not known here. */
function endpointsOf(topology: Topology, target: ChainTarget): readonly Endpoint[] | undefined {
  if (target.datacenter !== topology.datacenter) return undefined;
  return topology.once(`endpoints/${target.id}`, () => {
    const filter = parseInstanceFilter(target.subset.filter);
    return resolveEndpoints(topology.meshInstancesOf(target.service).filter(filter.matches), target.subset.only_passing);
  });
}

function listenerOf(upstream: Upstream): UpstreamListener | undefined {
  if (upstream.local_bind_port) return { address: upstream.local_bind_address || '127.0.0.1', port: upstream.local_bind_port };
  if (!upstream.local_bind_socket_path) return undefined;
  return { socketPath: upstream.local_bind_socket_path, mode: Number.parseInt(upstream.local_bind_socket_mode ?? '', 8) || 0 };
}

function duplicateUpstream(proxy: Instance, name: string): Problem {
  return {
    code: 'duplicate-upstream',
    severity: 'error',
    message: `${proxy.id} names the upstream ${name} twice; the first one counts`,
    about: { node: proxy.node, id: proxy.id },
    hint: 'keep one of them',
  };
}
