import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import { type Authorization, resolveAuthorization } from './authorization.ts';
import type { JwtProvider } from './authorization-jwt.ts';
import type { CompiledChain } from './discovery-chain/chain.ts';
import type { Endpoint } from './endpoints.ts';
import { type ExposedPath, resolveExposedPaths } from './exposed-paths.ts';
import { type MeshSettings, resolveMeshSettings } from './mesh-settings.ts';
import { serviceSpiffeId } from './names.ts';
import { type AccessLogs, type EnvoyExtension, inboundProtocol, type Protocol, type ProxySettings } from './proxy-settings.ts';
import type { Topology } from './topology.ts';
import { resolveTransparentView, type TransparentView } from './transparent-view.ts';
import type { UpstreamSettings } from './upstream-settings.ts';
import { resolveUpstreams } from './upstreams.ts';

/**
 * All that one sidecar's configuration follows from: who it is, who may call it, whom it may call and how. Plain data, with
 * nothing left to look up; equal meshes give equal views.
 */
export interface ProxyView {
  readonly id: string;
  readonly node: string;
  /** The service it stands for, and whose identity it has. */
  readonly service: string;
  readonly serviceId: string;
  readonly spiffeId: string;
  readonly datacenter: string;
  readonly trustDomain: string;
  readonly inbound: InboundView;
  /** By name. */
  readonly upstreams: readonly UpstreamView[];
  /** Undefined: the application's traffic is not captured. */
  readonly transparent: TransparentView | undefined;
  readonly exposedPaths: readonly ExposedPath[];
  /** All of the mesh: every proxy can fetch every provider's keys, as in Consul. */
  readonly jwtProviders: readonly JwtProvider[];
  readonly mesh: MeshSettings;
  readonly accessLogs: AccessLogs | undefined;
  readonly envoyExtensions: readonly EnvoyExtension[];
  /** `proxy.config` after defaults. */
  readonly config: ProxySettings['config'];
  readonly problems: readonly Problem[];
}

/** The application, and who may reach it. */
export interface InboundView {
  readonly protocol: Protocol;
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly authorization: Authorization;
  readonly localApp: { readonly address: string; readonly port: number; readonly socketPath: string | undefined };
  /** Plain connections to this port are let in as well (permissive mutual TLS). */
  readonly permissivePort: number | undefined;
}

/** One service that the proxy calls. */
export interface UpstreamView {
  /** As Consul writes it: the service, with `?dc=` where it is another datacenter's. */
  readonly name: string;
  readonly service: string;
  readonly protocol: Protocol;
  readonly settings: UpstreamSettings;
  readonly route: ChainUpstream | PreparedQueryUpstream;
  /** A listener of its own, where the application dials it. */
  readonly listener: UpstreamListener | undefined;
  /** Addresses that mean it, for captured traffic. Sorted. Empty: captured traffic does not lead to it. */
  readonly virtualAddresses: readonly string[];
}

export interface ChainUpstream {
  readonly type: 'chain';
  readonly chain: CompiledChain;
  /** By target ID. A target without an entry is in another datacenter, and its instances are not known here. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
}

export interface PreparedQueryUpstream {
  readonly type: 'prepared-query';
}

export type UpstreamListener = { readonly address: string; readonly port: number } | { readonly socketPath: string; readonly mode: number };

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
    spiffeId: serviceSpiffeId(service, topology),
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
