import type { Problem } from '../mesh/problem.ts';
import type { Authorization } from './authorization.ts';
import type { JwtProvider } from './authorization-jwt.ts';
import type { AddressRange } from './denied-ranges.ts';
import type { DestinationService } from './destinations.ts';
import type { CompiledChain } from './discovery-chain/chain.ts';
import type { Endpoint } from './endpoints.ts';
import type { ExposedPath } from './exposed-paths.ts';
import type { MeshSettings } from './mesh-settings.ts';
import type { AccessLogs, EnvoyExtension, Protocol } from './proxy-settings.ts';
import type { ProxyTuning } from './proxy-tuning.ts';
import type { UpstreamSettings } from './upstream-settings.ts';

/** What a proxy's configuration follows from, by the kind of proxy. Sidecars are the only kind that is served today. */
export type ProxyView = SidecarView;

/**
 * All that a sidecar's configuration follows from: who may call it, whom it may call and how. Plain data, with nothing left to look up; equal
 * meshes give equal views. Instances of a service that are registered alike have the very same view, and views share the parts that
 * are equal (`context`, `inbound`, each upstream, …). So who the proxy is stands elsewhere: see `ProxyIdentity`.
 */
export interface SidecarView {
  readonly kind: 'sidecar';
  /** The service it stands for. */
  readonly service: string;
  readonly context: ProxyContext;
  readonly inbound: InboundView;
  /** By name. */
  readonly upstreams: readonly UpstreamView[];
  /** Where the instances of the upstreams are, by target ID. A target without an entry is in another datacenter: its instances are not known here. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** Undefined: the application's traffic is not captured. */
  readonly transparent: TransparentView | undefined;
  /** All of the mesh: every proxy can fetch every provider's keys, as in Consul. */
  readonly jwtProviders: readonly JwtProvider[];
  readonly envoyExtensions: readonly EnvoyExtension[];
  readonly problems: readonly Problem[];
}

/** What every part of a proxy's configuration may depend on. */
export interface ProxyContext {
  readonly datacenter: string;
  readonly trustDomain: string;
  readonly mesh: MeshSettings;
  readonly accessLogs: AccessLogs | undefined;
  /** The user's own tracing of all HTTP connection managers, as text. */
  readonly listenerTracingJson: string | undefined;
}

/** The application, and who may reach it. */
export interface InboundView {
  readonly protocol: Protocol;
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly authorization: Authorization;
  readonly localApp: LocalApp;
  /** Plain connections to this port are let in as well (permissive mutual TLS). */
  readonly permissivePort: number | undefined;
  readonly exposedPaths: readonly ExposedPath[];
  readonly tuning: ProxyTuning;
}

export interface LocalApp {
  readonly address: string;
  readonly port: number;
  readonly socketPath: string | undefined;
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
}

export interface PreparedQueryUpstream {
  readonly type: 'prepared-query';
}

export type UpstreamListener = { readonly address: string; readonly port: number } | { readonly socketPath: string; readonly mode: number };

/** What becomes of the application's captured connections. */
export interface TransparentView {
  readonly outboundPort: number;
  /** Instances that are dialed by their own addresses, by target. */
  readonly directDials: readonly DirectDial[];
  /** Names for addresses outside the mesh that this proxy may call, through terminating gateways. By name. */
  readonly destinations: readonly DestinationView[];
  /** What is refused at once. Sorted. */
  readonly deniedRanges: readonly AddressRange[];
  /** Whether anything else goes on to where it was meant to go. */
  readonly passOthersOn: boolean;
}

export interface DirectDial {
  readonly service: string;
  readonly sni: string;
  readonly spiffeId: string;
  readonly connectTimeoutMs: number;
  /** Sorted. */
  readonly addresses: readonly string[];
}

export interface DestinationView extends DestinationService {
  readonly spiffeId: string;
  /** The terminating gateways that lead there. */
  readonly endpoints: readonly Endpoint[];
}
