import type { Instance } from '../mesh/instance.ts';
import type { EntryLookup } from '../mesh/mesh.ts';
import { isProtocol } from '../mesh/service-protocol.ts';

export type { Protocol } from '../mesh/service-protocol.ts';

import type { EntryOfKind } from '../mesh/schema/config-entry.ts';
import type { SidecarProxy } from '../mesh/schema/service.ts';
import { type ProxyTuning, resolveProxyTuning } from './proxy-tuning.ts';

export type MeshGatewayMode = 'none' | 'local' | 'remote';

export type AccessLogs = NonNullable<EntryOfKind<'proxy-defaults'>['access_logs']>;
export type EnvoyExtension = EntryOfKind<'service-defaults'>['envoy_extensions'][number];
export type ExposedPathSettings = NonNullable<SidecarProxy['expose']>['paths'][number];

/** What holds for one proxy after its registration, its service-defaults and proxy-defaults are laid over each other. */
export interface ProxySettings {
  readonly mode: 'direct' | 'transparent';
  readonly outboundListenerPort: number;
  /** Callers may dial this instance by its own address. */
  readonly dialedDirectly: boolean;
  readonly mutualTlsMode: 'strict' | 'permissive';
  readonly meshGatewayMode: MeshGatewayMode | undefined;
  readonly exposeChecks: boolean;
  readonly exposedPaths: readonly ExposedPathSettings[];
  readonly accessLogs: AccessLogs | undefined;
  readonly envoyExtensions: readonly EnvoyExtension[];
  /** `proxy.config`. */
  readonly tuning: ProxyTuning;
}

/** Whether it has requests, which routes, splits and permissions work on. A word that is no protocol has none. */
export function isHttp(protocol: string): boolean {
  return isProtocol(protocol) && protocol !== 'tcp';
}

/** Where a transparent proxy receives captured connections unless told otherwise. Source: Consul's `transparent_proxy.outbound_listener_port`. */
export const DEFAULT_OUTBOUND_PORT = 15001;

/** The registration wins over service-defaults, those over proxy-defaults. Source: Consul's central service configuration. */
export function resolveProxySettings(entries: EntryLookup, proxy: Instance): ProxySettings {
  const own: Partial<SidecarProxy> = proxy.proxy ?? {};
  const service = entries.get('service-defaults', proxy.proxy?.destination_service_name ?? proxy.service);
  const global = entries.get('proxy-defaults', 'global');
  const layers = [own, service, global];
  return {
    mode: first(layers, (layer) => layer.mode) ?? 'direct',
    outboundListenerPort: first(layers, (layer) => layer.transparent_proxy?.outbound_listener_port || undefined) ?? DEFAULT_OUTBOUND_PORT,
    dialedDirectly: layers.some((layer) => layer?.transparent_proxy?.dialed_directly),
    mutualTlsMode: first(layers, (layer) => layer.mutual_tls_mode) ?? 'strict',
    meshGatewayMode: first(layers, (layer) => layer.mesh_gateway?.mode),
    exposeChecks: layers.some((layer) => layer?.expose?.checks),
    exposedPaths: layers.map((layer) => layer?.expose?.paths ?? []).find((paths) => paths.length > 0) ?? [],
    accessLogs: own.access_logs ?? global?.access_logs,
    envoyExtensions: [...(global?.envoy_extensions ?? []), ...(service?.envoy_extensions ?? []), ...(own.envoy_extensions ?? [])],
    tuning: resolveProxyTuning({ ...globalConfig(global), ...serviceConfig(service), ...withoutEmpty(own.config) }),
  };
}

function first<Layer, Value>(layers: readonly (Layer | undefined)[], read: (layer: Layer) => Value | undefined): Value | undefined {
  for (const layer of layers) {
    const value = layer && read(layer);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** A zero, `false` or `""` in a registration says nothing, as in Consul. */
function withoutEmpty(config: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config ?? {}).filter(([, value]) => value));
}

function globalConfig(entry: EntryOfKind<'proxy-defaults'> | undefined): Record<string, unknown> {
  return { ...entry?.config, ...(entry?.protocol && !entry.config?.protocol && { protocol: entry.protocol }) };
}

/** Fields of service-defaults that mean the same as a key of `proxy.config`. */
const SERVICE_CONFIG_KEYS = [
  'protocol',
  'max_inbound_connections',
  'local_connect_timeout_ms',
  'local_request_timeout_ms',
  'max_request_headers_kb',
  'balance_inbound_connections',
] as const;

function serviceConfig(entry: EntryOfKind<'service-defaults'> | undefined): Record<string, unknown> {
  return withoutEmpty(Object.fromEntries(SERVICE_CONFIG_KEYS.map((key) => [key, entry?.[key]])));
}
