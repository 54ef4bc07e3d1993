import type { Instance } from '../mesh/instance.ts';
import type { Upstream } from '../mesh/schema/upstream.ts';
import { ownDeniedAddresses } from './denied-ranges.ts';
import { type ExposedPath, exposedPathsOf } from './exposed-paths.ts';
import { type AccessLogs, type EnvoyExtension, type MeshGatewayMode, resolveProxySettings } from './proxy-settings.ts';
import type { ProxyTuning } from './proxy-tuning.ts';
import type { LocalApp } from './proxy-view.ts';
import type { Topology } from './topology.ts';

/**
 * What of one sidecar its view follows from: its registration with the defaults of config entries filled in. Everything by which instances of
 * a service may differ stands here, and nothing else does: sidecars with equal registrations share a view.
 */
export interface Registration {
  readonly service: string;
  readonly transparent: boolean;
  readonly outboundPort: number;
  readonly permissive: boolean;
  readonly meshGatewayMode: MeshGatewayMode | undefined;
  readonly accessLogs: AccessLogs | undefined;
  readonly envoyExtensions: readonly EnvoyExtension[];
  readonly tuning: ProxyTuning;
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly localApp: LocalApp;
  readonly upstreams: readonly Upstream[];
  readonly exposed: readonly ExposedPath[];
  /** Those of its host's addresses that it would be denied if they were another's. */
  readonly ownAddresses: readonly string[];
}

/** @throws Error for an instance that is no sidecar */
export function registrationOf(topology: Topology, instance: Instance): Registration {
  const sidecar = instance.proxy;
  if (!sidecar) throw new Error(`${instance.id} on ${instance.node} is no sidecar`);
  const settings = resolveProxySettings(topology.entries, instance);
  const transparent = settings.mode === 'transparent';
  return {
    service: sidecar.destination_service_name,
    transparent,
    outboundPort: settings.outboundListenerPort,
    permissive: settings.mutualTlsMode === 'permissive',
    meshGatewayMode: settings.meshGatewayMode,
    accessLogs: settings.accessLogs,
    envoyExtensions: settings.envoyExtensions,
    tuning: settings.tuning,
    bindAddress: settings.tuning.bindAddress ?? (instance.address || '0.0.0.0'),
    bindPort: settings.tuning.bindPort ?? instance.port,
    localApp: {
      address: sidecar.local_service_address || '127.0.0.1',
      port: sidecar.local_service_port,
      socketPath: sidecar.local_service_socket_path || undefined,
    },
    upstreams: sidecar.upstreams,
    exposed: exposedPathsOf(topology, instance, settings),
    ownAddresses: transparent ? ownDeniedAddresses(topology, instance) : [],
  };
}
