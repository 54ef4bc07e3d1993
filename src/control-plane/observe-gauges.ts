import type { AdminApi } from '../admin/admin-api.ts';
import type { LeafStore } from '../ca/leaf-store.ts';
import type { Metrics } from '../runtime/metrics.ts';

/** Gauges that are read off the state when somebody looks, instead of being kept. */
export function observeGauges(metrics: Metrics, { api, leaves }: { api: Pick<AdminApi, 'proxies'>; leaves: Pick<LeafStore, 'earliestExpiry'> }): void {
  const states = { connected: 0, waiting: 0, disconnected: 0 };
  for (const { state } of api.proxies()) states[state] += 1;
  for (const [state, count] of Object.entries(states)) metrics.proxies.set({ state }, count);
  metrics.leafExpiry.set((leaves.earliestExpiry() ?? 0) / 1000);
}
