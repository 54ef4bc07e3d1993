import type { Counter } from 'prom-client';
import type { AdminApi } from '../admin/admin-api.ts';
import type { LeafStore } from '../ca/leaf-store.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { XdsServer } from '../server/xds-server.ts';
import type { Reconciler } from './reconciler.ts';

/** Gauges that are read off the state when somebody looks, instead of being kept. */
export function observeGauges(
  metrics: Metrics,
  parts: { api: Pick<AdminApi, 'proxies'>; leaves: Pick<LeafStore, 'earliestExpiry'>; xds: Pick<XdsServer, 'usage'>; reconciler: Reconciler },
): void {
  const { api, leaves, xds, reconciler } = parts;
  const states = { connected: 0, waiting: 0, disconnected: 0 };
  metrics.refusedResources.reset();
  for (const { state, refused_resources: refused = [] } of api.proxies()) {
    states[state] += 1;
    for (const { type, closed } of refused) metrics.refusedResources.inc({ type, closed: String(closed) });
  }
  for (const [state, count] of Object.entries(states)) metrics.proxies.set({ state }, count);
  const { connections, streams, names, inboundBytes, waiting } = xds.usage();
  metrics.xdsConnections.set(connections);
  metrics.xdsStreams.set(streams);
  metrics.xdsNames.set(names);
  metrics.xdsInboundBytes.set(inboundBytes);
  metrics.queueDepth.set({ queue: 'proxies' }, reconciler.waiting);
  metrics.queueDepth.set({ queue: 'streams' }, waiting);
  const values = reconciler.topology?.store.counts;
  if (values) {
    catchUp(metrics.valuesComputed, values.computed);
    catchUp(metrics.valuesUnchanged, values.unchanged);
    metrics.valuesKept.set(values.kept);
  }
  metrics.leafExpiry.set((leaves.earliestExpiry() ?? 0) / 1000);
}

/** A counter that is kept elsewhere. */
function catchUp(counter: Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}
