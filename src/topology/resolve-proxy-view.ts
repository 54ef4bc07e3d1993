import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import { query } from '../query/query-store.ts';
import { type Authorization, resolveAuthorization } from './authorization.ts';
import type { JwtProvider } from './authorization-jwt.ts';
import { type Endpoint, endpointsOf } from './endpoints.ts';
import { withDistinctPorts } from './exposed-paths.ts';
import { meshSettings } from './mesh-settings.ts';
import type { AccessLogs } from './proxy-settings.ts';
import type { InboundView, ProxyContext, SidecarView, UpstreamView } from './proxy-view.ts';
import { type Registration, registrationOf } from './registration.ts';
import { resolveTransparentView } from './resolve-transparent-view.ts';
import type { Topology } from './topology.ts';
import { type OutboundRequest, type ResolvedUpstreams, resolveUpstreams } from './upstreams.ts';

/** Everything that the configuration of a sidecar follows from. @throws Error for an instance that is no sidecar */
export function resolveProxyView(topology: Topology, instance: Instance): SidecarView {
  return sidecarView(topology, registrationOf(topology, instance));
}

/** The view that all sidecars with this registration share. Its parts are values of their own, so that a change of one leaves the others as they are. */
const sidecarView = query('sidecar', (topology: Topology, registration: Registration): SidecarView => {
  const { service, transparent, outboundPort, meshGatewayMode, upstreams: explicit, ownAddresses, tuning } = registration;
  const inbound = inboundOf(topology, inboundRequestOf(registration));
  const outbound: OutboundRequest = { service, transparent, outboundPort, meshGatewayMode, explicit, ownAddresses };
  const { upstreams, problems } = upstreamsOf(topology, outbound);
  return {
    kind: 'sidecar',
    service,
    context: contextOf(topology, { accessLogs: registration.accessLogs, listenerTracingJson: tuning.listenerTracingJson }),
    inbound: inbound.view,
    upstreams,
    endpoints: endpointsOfTargets(topology, upstreams),
    transparent: transparent ? transparentViewOf(topology, outbound) : undefined,
    jwtProviders: jwtProvidersOf(topology),
    envoyExtensions: registration.envoyExtensions,
    problems: [...inbound.problems, ...problems],
  };
});

const contextOf = query(
  'context',
  (topology: Topology, settings: Pick<ProxyContext, 'accessLogs' | 'listenerTracingJson'>): ProxyContext => ({
    datacenter: topology.datacenter,
    trustDomain: topology.trustDomain,
    mesh: meshSettings(topology),
    accessLogs: settings.accessLogs as AccessLogs | undefined,
    listenerTracingJson: settings.listenerTracingJson,
  }),
);

type InboundRequest = Pick<Registration, 'service' | 'permissive' | 'tuning' | 'bindAddress' | 'bindPort' | 'localApp' | 'exposed'>;

function inboundRequestOf({ service, permissive, tuning, bindAddress, bindPort, localApp, exposed }: Registration): InboundRequest {
  return { service, permissive, tuning, bindAddress, bindPort, localApp, exposed };
}

const inboundOf = query('inbound', (topology: Topology, request: InboundRequest): { view: InboundView; problems: readonly Problem[] } => {
  const { service, tuning, bindAddress, bindPort, localApp } = request;
  // the registration's word counts here, for callers it does not
  const protocol = tuning.protocol ?? 'tcp';
  const authorization = authorizationOf(topology, service, protocol);
  const { paths: exposedPaths, problems } = withDistinctPorts(service, request.exposed);
  const permissive = request.permissive && meshSettings(topology).allowPermissiveMutualTls && localApp.port > 0;
  return {
    view: { protocol, bindAddress, bindPort, authorization, localApp, permissivePort: permissive ? localApp.port : undefined, exposedPaths, tuning },
    problems: [...authorization.problems, ...problems],
  };
});

const authorizationOf = query(
  'authorization',
  (topology: Topology, service: string, protocol: string): Authorization =>
    resolveAuthorization(topology.intentions, service, { protocol, jwtProviders: new Map(jwtProvidersOf(topology).map((entry) => [entry.name, entry])) }),
);

const upstreamsOf = query('upstreams', (topology: Topology, request: OutboundRequest): ResolvedUpstreams => resolveUpstreams(topology, request));

const transparentViewOf = query('transparent proxy', (topology: Topology, request: OutboundRequest) =>
  resolveTransparentView(topology, request, upstreamsOf(topology, request).upstreams),
);

/** Apart from the upstreams, because they change far more often. */
function endpointsOfTargets(topology: Topology, upstreams: readonly UpstreamView[]): ReadonlyMap<string, readonly Endpoint[]> {
  const endpoints = new Map<string, readonly Endpoint[]>();
  for (const { route } of upstreams) {
    if (route.type !== 'chain') continue;
    for (const { id, service, datacenter, subset } of route.chain.targets.values()) {
      if (datacenter === topology.datacenter && !endpoints.has(id)) endpoints.set(id, endpointsOf(topology, service, subset.filter, subset.only_passing));
    }
  }
  return endpoints;
}

const jwtProvidersOf = query('jwt providers', (topology: Topology): readonly JwtProvider[] => topology.entriesOfKind('jwt-provider'));
