import { expect } from 'vitest';
import type { Traffic, TrafficKind } from './agent.ts';
import type { Shop } from './shop.ts';
import type { Host } from './world.ts';

/** web calls api and ledger all the time: new HTTP connections, a kept-alive one, new TCP connections, one that stays open. */
export async function startAllTraffic({ web }: Shop) {
  // By address: a name may not resolve while the control plane, whose DNS it is, is away.
  const [api = '', ledger = ''] = await Promise.all(['api', 'ledger'].map((name) => virtualIp(web, name)));
  const http = { host: api, headers: { host: 'api.virtual.consul' } };
  const tcp = { host: ledger, port: 9000 };
  const running: [TrafficKind, Traffic][] = [];
  for (const [kind, target] of [
    ['http', http],
    ['http-keepalive', http],
    ['tcp', tcp],
    ['tcp-long', tcp],
  ] as const) {
    running.push([kind, await web.app.startTraffic(kind, { ...target, pauseMs: 10 })]);
  }
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

async function virtualIp(host: Host, service: string): Promise<string> {
  const { answers, error } = await host.app.resolve(`${service}.virtual.consul`);
  if (typeof answers[0] !== 'string') throw new Error(`no virtual IP of ${service}: ${error}`);
  return answers[0];
}
