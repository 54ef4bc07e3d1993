import type { envoy_config_listener_v3_Filter as Filter } from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { AccessLogs } from '../topology/proxy-settings.ts';
import { buildFilterAccessLog } from './access-log.ts';

export interface TcpProxyOptions {
  readonly cluster: string;
  readonly statPrefix: string;
  readonly accessLogs: AccessLogs | undefined;
  /** How many instances are tried before the caller's connection is closed. Envoy's default is one. */
  readonly connectAttempts?: number;
  /** `'0s'`: never cut a silent connection. Envoy's default is one hour. */
  readonly idleTimeout?: string;
}

/** Hands a connection to a cluster, byte for byte. */
export function buildTcpProxy({ cluster, statPrefix, accessLogs, connectAttempts, idleTimeout }: TcpProxyOptions): Filter {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
      stat_prefix: statPrefix,
      cluster,
      ...(connectAttempts && { max_connect_attempts: connectAttempts }),
      ...(idleTimeout && { idle_timeout: idleTimeout }),
      ...buildFilterAccessLog(accessLogs),
    }),
  };
}
