import { expect } from 'vitest';
import type { Traffic, TrafficKind } from './agent.ts';
import type { Shop } from './shop.ts';

const kinds: [TrafficKind, { host: string; port?: number }][] = [
  ['http', { host: 'api.virtual.consul' }],
  ['http-keepalive', { host: 'api.virtual.consul' }],
  ['tcp', { host: 'ledger.virtual.consul', port: 9000 }],
  ['tcp-long', { host: 'ledger.virtual.consul', port: 9000 }],
];

/** web calls api and ledger all the time: new HTTP connections, a kept-alive one, new TCP connections, one that stays open. */
export async function startAllTraffic(shop: Shop) {
  const running: [TrafficKind, Traffic][] = [];
  for (const [kind, target] of kinds) running.push([kind, await shop.web.app.startTraffic(kind, { ...target, pauseMs: 4 })]);
  return {
    /** Ends the traffic. Connections that should have stayed open must be the first ones still. */
    async expectNoFailures(): Promise<void> {
      for (const [kind, traffic] of running) {
        const { count, connections, failures } = await traffic.stop();
        expect(failures, kind).toEqual([]);
        expect(count, kind).toBeGreaterThan(50);
        if (kind === 'tcp-long' || kind === 'http-keepalive') expect(connections, kind).toBe(1);
      }
    },
  };
}
