import { isProtocol, type Protocol } from '../mesh/service-protocol.ts';

type Config = Readonly<Record<string, unknown>>;

/** The keys of `proxy.config` that adsum reads, typed. Undefined: not set, empty, zero, or not of its type. */
export interface ProxyTuning {
  /** What the application speaks. */
  readonly protocol: Protocol | undefined;
  readonly bindAddress: string | undefined;
  readonly bindPort: number | undefined;
  readonly localConnectTimeoutMs: number | undefined;
  readonly localRequestTimeoutMs: number | undefined;
  readonly localIdleTimeoutMs: number | undefined;
  readonly maxInboundConnections: number | undefined;
  readonly maxRequestHeadersKb: number | undefined;
  readonly balanceInboundConnections: boolean;
  /** Escape hatches, as text. */
  readonly publicListenerJson: string | undefined;
  readonly localClusterJson: string | undefined;
  readonly listenerTracingJson: string | undefined;
  /** Where Envoy listens for those who collect statistics. */
  readonly scrapedPorts: readonly number[];
}

/** Keys that make Envoy listen for scrapers. */
const SCRAPED_ADDRESSES = ['envoy_prometheus_bind_addr', 'envoy_stats_bind_addr'];

export function resolveProxyTuning(config: Config): ProxyTuning {
  return {
    protocol: parseProtocol(config.protocol),
    bindAddress: textIn(config, 'bind_address'),
    bindPort: numberIn(config, 'bind_port'),
    localConnectTimeoutMs: numberIn(config, 'local_connect_timeout_ms'),
    localRequestTimeoutMs: numberIn(config, 'local_request_timeout_ms'),
    localIdleTimeoutMs: numberIn(config, 'local_idle_timeout_ms'),
    maxInboundConnections: numberIn(config, 'max_inbound_connections'),
    maxRequestHeadersKb: numberIn(config, 'max_request_headers_kb'),
    balanceInboundConnections: config.balance_inbound_connections === 'exact_balance',
    publicListenerJson: textIn(config, 'envoy_public_listener_json'),
    localClusterJson: textIn(config, 'envoy_local_cluster_json'),
    listenerTracingJson: textIn(config, 'envoy_listener_tracing_json'),
    scrapedPorts: SCRAPED_ADDRESSES.flatMap((key) => /:(\d+)$/.exec(String(config[key] ?? ''))?.[1] ?? []).map(Number),
  };
}

export function parseProtocol(value: unknown): Protocol | undefined {
  const protocol = typeof value === 'string' ? value.toLowerCase() : undefined;
  return protocol !== undefined && isProtocol(protocol) ? protocol : undefined;
}

/** Consul takes numbers as text, too. */
function numberIn(config: Config, key: string): number | undefined {
  const value = Number(config[key]);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

function textIn(config: Config, key: string): string | undefined {
  const value = config[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
