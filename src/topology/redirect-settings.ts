import type { Instance } from '../mesh/instance.ts';
import { resolveProxySettings } from './proxy-settings.ts';
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

/** Source: what `consul connect redirect-traffic -proxy-id` reads from the registration. */
export function resolveRedirectSettings(topology: Topology, proxy: Instance): RedirectSettings {
  const settings = resolveProxySettings(topology.entries, proxy);
  const exposed = settings.exposedPaths.map(({ listener_port: port }) => port).filter((port) => port !== undefined);
  return {
    bindPort: settings.tuning.bindPort ?? proxy.port,
    outboundPort: settings.outboundListenerPort,
    excludeInboundPorts: [...new Set([...exposed, ...settings.tuning.scrapedPorts])].sort((a, b) => a - b),
  };
}
