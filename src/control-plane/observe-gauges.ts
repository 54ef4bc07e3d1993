import type { AdminApi } from '../admin/admin-api.ts';
import type { LeafStore } from '../ca/leaf-store.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { XdsServer } from '../server/xds-server.ts';

/** Gauges that are read off the state when somebody looks, instead of being kept. */
export function observeGauges(
  metrics: Metrics,
  parts: { api: Pick<AdminApi, 'proxies'>; leaves: Pick<LeafStore, 'earliestExpiry'>; xds: Pick<XdsServer, 'usage'> },
): void {
  const { api, leaves, xds } = parts;
  const states = { connected: 0, waiting: 0, disconnected: 0 };
  for (const { state } of api.proxies()) states[state] += 1;
  for (const [state, count] of Object.entries(states)) metrics.proxies.set({ state }, count);
  const { connections, streams, names, inboundBytes } = xds.usage();
  metrics.xdsConnections.set(connections);
  metrics.xdsStreams.set(streams);
  metrics.xdsNames.set(names);
  metrics.xdsInboundBytes.set(inboundBytes);
  metrics.leafExpiry.set((leaves.earliestExpiry() ?? 0) / 1000);
}
