import type { envoy_config_listener_v3_Listener as Listener } from '../proto/generated/types.ts';
import type { UpstreamListener, UpstreamView } from '../topology/proxy-view.ts';
import { buildListenerAccessLog } from './access-log.ts';
import { pipeAddress, socketAddress } from './address.ts';
import { listenerName, pipeListenerName } from './names.ts';
import type { BuildContext } from './resource.ts';
import { buildUpstreamFilterChain } from './upstream-filter-chain.ts';

/** The listener that the application dials for one explicit upstream. */
export function buildUpstreamListener(context: BuildContext, upstream: UpstreamView, bind: UpstreamListener): Listener {
  return {
    name: 'port' in bind ? listenerName(upstream.name, bind.address, bind.port) : pipeListenerName(upstream.name, bind.socketPath),
    address: 'port' in bind ? socketAddress(bind.address, bind.port) : pipeAddress(bind.socketPath, bind.mode),
    traffic_direction: 'OUTBOUND',
    filter_chains: [buildUpstreamFilterChain(context, upstream)],
    ...buildConnectionBalance(upstream.settings.balance_outbound_connections === 'exact_balance'),
    ...buildListenerAccessLog(context.accessLogs),
  };
}

/** Connections spread evenly over Envoy's worker threads, for few long ones. */
export function buildConnectionBalance(exact: boolean): Pick<Listener, 'connection_balance_config'> {
  return exact ? { connection_balance_config: { exact_balance: {} } } : {};
}
