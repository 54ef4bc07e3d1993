import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import { resolveAuthorization } from './authorization.ts';
import type { JwtProvider } from './authorization-jwt.ts';
import { resolveExposedPaths } from './exposed-paths.ts';
import { type MeshSettings, resolveMeshSettings } from './mesh-settings.ts';
import { inboundProtocol, type ProxySettings } from './proxy-settings.ts';
import type { InboundView, ProxyView } from './proxy-view.ts';
import { resolveTransparentView } from './resolve-transparent-view.ts';
import type { Topology } from './topology.ts';
import { resolveUpstreams } from './upstreams.ts';

/** Everything that the configuration of this sidecar follows from. `proxy` must be a sidecar of this topology. */
export function resolveProxyView(topology: Topology, proxy: Instance): ProxyView {
  const sidecar = proxy.proxy;
  if (!sidecar) throw new Error(`${proxy.id} on ${proxy.node} is no sidecar`);
  const service = sidecar.destination_service_name;
  const settings = topology.settingsOf(proxy);
  const mesh = topology.once('mesh-settings', () => resolveMeshSettings(topology.mesh));
  const problems: Problem[] = [];

  const upstreams = resolveUpstreams(topology, proxy, settings);
  const inbound = resolveInbound(topology, proxy, settings, mesh);
  const transparent = settings.mode === 'transparent' ? resolveTransparentView(topology, proxy, settings, mesh, upstreams.upstreams) : undefined;
  const exposed = resolveExposedPaths(topology, proxy, settings);
  problems.push(...inbound.authorization.problems, ...upstreams.problems, ...(transparent?.problems ?? []), ...exposed.problems);
  return {
    id: proxy.id,
    node: proxy.node,
    service,
    serviceId: sidecar.destination_service_id,
    datacenter: topology.datacenter,
    trustDomain: topology.trustDomain,
    inbound,
    upstreams: upstreams.upstreams,
    transparent,
    exposedPaths: exposed.paths,
    jwtProviders: [...jwtProvidersOf(topology).values()],
    mesh,
    accessLogs: settings.accessLogs,
    envoyExtensions: settings.envoyExtensions,
    config: settings.config,
    problems: problems.map((problem) => ({ ...problem, proxies: [proxy.id] })),
  };
}

function resolveInbound(topology: Topology, proxy: Instance, settings: ProxySettings, mesh: MeshSettings): InboundView {
  const sidecar = proxy.proxy;
  const service = sidecar?.destination_service_name ?? '';
  const protocol = inboundProtocol(settings);
  const { bind_address: bindAddress, bind_port: bindPort } = settings.config;
  const servicePort = sidecar?.local_service_port ?? 0;
  const permissive = settings.mutualTlsMode === 'permissive' && mesh.allowPermissiveMutualTls && servicePort > 0;
  return {
    protocol,
    bindAddress: (typeof bindAddress === 'string' && bindAddress) || proxy.address || '0.0.0.0',
    bindPort: Number(bindPort) || proxy.port,
    authorization: topology.once(`authorization/${service}/${protocol}`, () =>
      resolveAuthorization(topology.intentions, service, { protocol, jwtProviders: jwtProvidersOf(topology) }),
    ),
    localApp: {
      address: sidecar?.local_service_address || '127.0.0.1',
      port: servicePort,
      socketPath: sidecar?.local_service_socket_path || undefined,
    },
    permissivePort: permissive ? servicePort : undefined,
  };
}

function jwtProvidersOf(topology: Topology): ReadonlyMap<string, JwtProvider> {
  return topology.once('jwt-providers', () => new Map(topology.mesh.configEntries.ofKind('jwt-provider').map((entry) => [entry.name, entry])));
}
