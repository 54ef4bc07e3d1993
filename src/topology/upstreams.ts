import type { Problem } from '../mesh/problem.ts';
import type { Upstream } from '../mesh/schema/upstream.ts';
import { query } from '../query/query-store.ts';
import { chainOf } from './chains.ts';
import { destinationServices } from './destinations.ts';
import type { ChainOverrides } from './discovery-chain/chain.ts';
import { ANY_SERVICE } from './intentions.ts';
import { upstreamName } from './names.ts';
import type { MeshGatewayMode } from './proxy-settings.ts';
import { parseProtocol } from './proxy-tuning.ts';
import type { UpstreamListener, UpstreamView } from './proxy-view.ts';
import type { Topology } from './topology.ts';
import { resolveUpstreamSettings, type UpstreamSettings } from './upstream-settings.ts';
import { virtualAddressesOf } from './virtual-addresses.ts';

export interface ResolvedUpstreams {
  /** By name. */
  readonly upstreams: readonly UpstreamView[];
  readonly problems: readonly Problem[];
}

/** Whose upstreams, and what its registration says of them. */
export interface OutboundRequest {
  readonly service: string;
  readonly transparent: boolean;
  readonly outboundPort: number;
  readonly meshGatewayMode: MeshGatewayMode | undefined;
  readonly explicit: readonly Upstream[];
  readonly ownAddresses: readonly string[];
}

/**
 * Whom a sidecar calls: its explicit upstreams, and if it is transparent every service that intentions let it call. An explicit
 * upstream is there even when it is denied, because the destination decides. A service is never its own upstream.
 */
export function resolveUpstreams(topology: Topology, caller: OutboundRequest): ResolvedUpstreams {
  const callable = new Set(caller.transparent ? callableServices(topology, caller.service) : []);
  const byName = new Map<string, UpstreamView>();
  const problems: Problem[] = [];
  const add = (request: UpstreamRequest) => {
    const { upstream, problems: found } = upstreamOf(topology, request);
    problems.push(...found);
    if (upstream) byName.set(upstream.name, upstream);
  };
  for (const explicit of caller.explicit) {
    const name = nameOf(explicit);
    if (byName.has(name)) problems.push(duplicateUpstream(caller.service, name));
    else add(explicitRequest(topology, caller, explicit, callable));
  }
  for (const service of callable) if (!byName.has(service)) add(implicitRequest(topology, caller, service));
  return { upstreams: [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), problems };
}

/** Without an `upstream` it cannot be reached as it is configured; the problems say why. */
interface ResolvedUpstream {
  readonly upstream?: UpstreamView;
  readonly problems: readonly Problem[];
}

/**
 * The services that intentions let `caller` call, itself left out. A name for outside addresses is dialed by those, so it is among them
 * only where everything is.
 */
export const callableServices = query('callable services of a caller', (topology: Topology, caller: string): readonly string[] => {
  const destinations = destinationServices(topology);
  const services = topology.intentions
    .destinationsOf(caller, { has: (service) => topology.isCallable(service), all: () => topology.callableServices })
    .filter((service) => !destinations.has(service));
  const outside = topology.intentions.mayCall(caller, ANY_SERVICE) ? [...destinations.keys()] : [];
  return [...services, ...outside].filter((service) => service !== caller);
});

/** One upstream, with everything by which callers may differ. Callers that ask for the same share it. */
interface UpstreamRequest {
  readonly name: string;
  readonly service: string;
  readonly type: 'service' | 'prepared_query';
  readonly datacenter: string;
  readonly settings: UpstreamSettings;
  readonly overrides: ChainOverrides;
  readonly listener: UpstreamListener | undefined;
  /** Captured traffic to its virtual addresses reaches it. */
  readonly captured: boolean;
}

function implicitRequest(topology: Topology, caller: OutboundRequest, service: string): UpstreamRequest {
  const settings = resolveUpstreamSettings(topology.entries, caller.service, service);
  const overrides = overridesOf(settings, caller.meshGatewayMode);
  return { name: service, service, type: 'service', datacenter: topology.datacenter, settings, overrides, listener: undefined, captured: true };
}

function explicitRequest(topology: Topology, caller: OutboundRequest, explicit: Upstream, callable: ReadonlySet<string>): UpstreamRequest {
  const service = explicit.destination_name;
  const settings = resolveUpstreamSettings(topology.entries, caller.service, service, explicit);
  const listener = listenerOf(explicit);
  return {
    name: nameOf(explicit),
    service,
    type: explicit.destination_type === 'prepared_query' ? 'prepared_query' : 'service',
    datacenter: explicit.datacenter || topology.datacenter,
    settings,
    overrides: overridesOf(settings, caller.meshGatewayMode),
    listener,
    // Unless nothing lets this proxy call it. An upstream that names a datacenter, be it this one, stands beside the one that captured
    // traffic goes to.
    captured: !explicit.datacenter && (callable.has(service) || (caller.transparent && !listener)),
  };
}

const upstreamOf = query('upstream', (topology: Topology, request: UpstreamRequest): ResolvedUpstream => {
  const { name, service, settings, listener } = request;
  if (request.type === 'prepared_query') {
    const protocol = parseProtocol(settings.protocol) ?? 'tcp';
    return { upstream: { name, service, protocol, settings, route: { type: 'prepared-query' }, listener, virtualAddresses: [] }, problems: [] };
  }
  const { chain, problems } = chainOf(topology, service, request.datacenter, request.overrides);
  if (!chain) return { problems };
  const protocol = parseProtocol(settings.protocol) ?? parseProtocol(chain.protocol) ?? 'tcp';
  const virtualAddresses = request.captured ? virtualAddressesOf(topology, service) : [];
  return { upstream: { name, service, protocol, settings, route: { type: 'chain', chain }, listener, virtualAddresses }, problems };
});

function nameOf({ destination_type: type = 'service', destination_name: name, datacenter }: Upstream): string {
  return upstreamName({ type, name, ...(datacenter && { datacenter }) });
}

function overridesOf(settings: UpstreamSettings, meshGatewayMode: MeshGatewayMode | undefined): ChainOverrides {
  const mode = settings.mesh_gateway?.mode ?? meshGatewayMode;
  return {
    ...(settings.protocol && { protocol: settings.protocol }),
    ...(settings.connect_timeout_ms && { connect_timeout_ms: settings.connect_timeout_ms }),
    ...(mode && { mesh_gateway_mode: mode }),
  };
}

function listenerOf(upstream: Upstream): UpstreamListener | undefined {
  if (upstream.local_bind_port) return { address: upstream.local_bind_address || '127.0.0.1', port: upstream.local_bind_port };
  if (!upstream.local_bind_socket_path) return undefined;
  return { socketPath: upstream.local_bind_socket_path, mode: Number.parseInt(upstream.local_bind_socket_mode ?? '', 8) || 0 };
}

function duplicateUpstream(service: string, name: string): Problem {
  return {
    code: 'duplicate-upstream',
    severity: 'error',
    message: `the sidecar of ${service} names the upstream ${name} twice; the first one counts`,
    hint: 'keep one of them',
  };
}
