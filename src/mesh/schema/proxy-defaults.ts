import { singletonSchema } from './entry.ts';
import { freeMap, protocol } from './field.ts';
import {
  accessLogs,
  envoyExtensions,
  expose,
  failoverPolicy,
  meshGateway,
  mutualTlsMode,
  prioritizeByLocality,
  proxyMode,
  transparentProxy,
} from './proxy-settings.ts';

export const proxyDefaults = singletonSchema('proxy-defaults', 'global', 'Defaults for every proxy.', {
  protocol: protocol('What services speak that say nothing themselves.'),
  mode: proxyMode,
  transparent_proxy: transparentProxy,
  mutual_tls_mode: mutualTlsMode,
  config: freeMap("Settings for Envoy, as in a registration's `proxy.config`; `protocol` here is the protocol of all services."),
  mesh_gateway: meshGateway,
  expose,
  access_logs: accessLogs,
  envoy_extensions: envoyExtensions,
  failover_policy: failoverPolicy,
  prioritize_by_locality: prioritizeByLocality,
});
