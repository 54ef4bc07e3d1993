import type { Instance } from '../mesh/instance.ts';
import type { Topology } from './topology.ts';

/** What traffic redirection must know of a proxy. */
export interface RedirectSettings {
  /** Where redirected inbound connections go. */
  readonly bindPort: number;
  /** Where redirected outbound connections go. */
  readonly outboundPort: number;
  /** Ports of the proxy's own that answer from outside: exposed paths, statistics. Sorted. */
  readonly excludeInboundPorts: readonly number[];
}

/** Keys of `proxy.config` that make Envoy listen for scrapers. */
const SCRAPED_ADDRESSES = ['envoy_prometheus_bind_addr', 'envoy_stats_bind_addr'];

/** Source: what `consul connect redirect-traffic -proxy-id` reads from the registration. */
export function resolveRedirectSettings(topology: Topology, proxy: Instance): RedirectSettings {
  const settings = topology.settingsOf(proxy);
  const bindPort = settings.config.bind_port;
  const scraped = SCRAPED_ADDRESSES.map((key) => /:(\d+)$/.exec(String(settings.config[key] ?? ''))?.[1]).filter((port) => port !== undefined);
  const exposed = settings.exposedPaths.map(({ listener_port: port }) => port).filter((port) => port !== undefined);
  return {
    bindPort: typeof bindPort === 'number' && bindPort > 0 ? bindPort : proxy.port,
    outboundPort: settings.outboundListenerPort,
    excludeInboundPorts: [...new Set([...exposed, ...scraped.map(Number)])].sort((a, b) => a - b),
  };
}
