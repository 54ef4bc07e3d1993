import type { envoy_config_listener_v3_Filter as Filter, envoy_config_listener_v3_FilterChain as FilterChain } from '../proto/generated/types.ts';
import { chainStatName, preparedQuerySni } from '../topology/names.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { UpstreamView } from '../topology/proxy-view.ts';
import { tcpClusterOf } from './chain-cluster.ts';
import { CONNECT_ATTEMPTS } from './connect-retries.ts';
import { buildHttpConnectionManager, buildSingleRoute } from './http-connection-manager.ts';
import { statPrefix, UPSTREAM_STAT_PREFIX } from './names.ts';
import type { BuildContext } from './resource.ts';
import { buildUpstreamRoutes, usesRds } from './route.ts';
import { buildTcpProxy } from './tcp-proxy.ts';

/** What happens to a connection for an upstream, wherever it was accepted. The caller adds what it matches. */
export function buildUpstreamFilterChain(context: BuildContext, upstream: UpstreamView): FilterChain {
  return { filters: [upstreamFilter(context, upstream)] };
}

function upstreamFilter(context: BuildContext, upstream: UpstreamView): Filter {
  const { accessLogs, tracing } = context;
  const { name, protocol, route } = upstream;
  if (route.type === 'prepared-query') {
    const cluster = preparedQuerySni(upstream.service, context);
    const prefix = statPrefix(UPSTREAM_STAT_PREFIX, name);
    if (!isHttp(protocol)) return buildTcpProxy({ cluster, statPrefix: prefix, accessLogs });
    const inline = buildSingleRoute({ routeConfig: name, virtualHost: name }, { cluster });
    return buildHttpConnectionManager({ protocol, statPrefix: prefix, routes: { inline }, tracing, accessLogs });
  }
  const { chain } = route;
  const statName = chainStatName(chain.service, chain.datacenter);
  const prefix = statPrefix(UPSTREAM_STAT_PREFIX, statName);
  if (!isHttp(protocol)) return buildTcpProxy({ cluster: tcpClusterOf(chain), statPrefix: prefix, accessLogs, connectAttempts: CONNECT_ATTEMPTS });
  const routes = usesRds(chain) ? { rds: name } : { inline: buildUpstreamRoutes(chain, { routeConfig: name, virtualHost: statName }) };
  return buildHttpConnectionManager({ protocol, statPrefix: prefix, routes, tracing, accessLogs });
}
