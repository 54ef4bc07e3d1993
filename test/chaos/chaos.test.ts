import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Traffic, TrafficKind } from '../envoy/lab/agent.ts';
import { describeLab } from '../envoy/lab/describe-lab.ts';
import { eventually } from '../envoy/lab/eventually.ts';
import { inside } from '../envoy/lab/network.ts';
import { openShop, type Shop } from '../envoy/lab/shop.ts';

/** How long, in minutes: CHAOS_MINUTES, default 20. The sequence of events: CHAOS_SEED, default 1. */
const MINUTES = Number(process.env.CHAOS_MINUTES ?? 20);
const random = randomFrom(Number(process.env.CHAOS_SEED ?? 1));
const below = (limit: number) => Math.floor(random() * limit);
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

interface Flow {
  readonly name: string;
  readonly mayPass: boolean;
  readonly traffic: Traffic;
}

describeLab(`everything at once for ${MINUTES} minutes`, () => {
  let shop: Shop;
  const flows: Flow[] = [];
  const convergedMs: number[] = [];
  const slowlyMs: number[] = [];
  const happened = new Map<string, number>();
  let reportsAllowed = true;

  beforeAll(async () => {
    shop = await openShop({
      hosts: ['web', 'api', 'api-2', 'ledger', 'cron', 'reports'],
      unregistered: ['api-3'],
      intentions: Object.fromEntries(['api', 'ledger', 'reports'].map((name) => [name, [{ name: 'web', action: 'allow' as const }]])),
    });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
    const address = async (service: string) => String((await shop.web.app.resolve(`${service}.virtual.consul`)).answers[0]);
    const [api, ledger] = [await address('api'), await address('ledger')];
    const http = { host: api, headers: { host: 'api.virtual.consul' }, pauseMs: 10 };
    const tcp = { host: ledger, port: 9000, pauseMs: 20 };
    const start = async (from: string, kind: TrafficKind, target: typeof http | typeof tcp, mayPass: boolean) =>
      flows.push({ name: `${from} ${kind}`, mayPass, traffic: await shop.host(from).app.startTraffic(kind, target) });
    await start('web', 'http', http, true);
    await start('web', 'http-keepalive', http, true);
    await start('web', 'tcp', tcp, true);
    await start('web', 'tcp-long', tcp, true);
    await start('cron', 'http', http, false);
    await start('cron', 'tcp', tcp, false);
    // Around the caller's sidecar, to the destination's: no certificate.
    const bypass = { host: shop.host('api').ipv4, port: 21_000, headers: { host: 'api' }, pauseMs: 50 };
    flows.push({ name: 'outsider http', mayPass: false, traffic: await shop.outsider.app.startTraffic('http', bypass) });
  });
  afterAll(() => shop?.close());

  /** An intention is turned round; how long until the next connection knows. */
  const converge = async () => {
    reportsAllowed = !reportsAllowed;
    const sinceMs = shop.mesh.setIntention('reports', [{ name: 'web', action: reportsAllowed ? 'allow' : 'deny' }]);
    const call = { host: 'reports.virtual.consul', port: 8080, send: 'x', deadlineMs: 60_000 };
    const outcome = await shop.web.app.pollTcp({ ...call, want: reportsAllowed ? 'bytes' : 'refusal', sinceMs });
    return outcome.afterMs;
  };

  const network = (up: boolean) => inside(shop.world.network.bridge, 'ip', 'link', 'set', 'port1', up ? 'up' : 'down');
  const slow = (rule: string[]) => shop.host('control').run('tc', 'qdisc', ...rule);
  const restartSidecar = async (name: string) => {
    const host = shop.host(name);
    await host.sidecar?.stop('SIGTERM');
    host.startSidecar({ serviceId: name, redirect: false });
    await host.sidecar?.ready();
  };

  const events: Record<string, () => Promise<void>> = {
    'adsum ends and starts': () => shop.world.control.restart('SIGTERM'),
    'adsum is killed and starts': () => shop.world.control.restart('SIGKILL'),
    'adsum is killed amid changes': async () => {
      for (let i = 0; i < 5; i += 1) {
        shop.mesh.setEntry({ kind: 'service-intentions', name: `future-${i}`, sources: [{ name: 'web', action: i % 2 ? 'allow' : 'deny' }] });
        await pause(below(15));
      }
      await shop.world.control.restart('SIGKILL');
    },
    'the network of adsum is cut': async () => {
      network(false);
      await pause(2_000 + below(4_000));
      network(true);
    },
    'the network of adsum is slow and loses packets': async () => {
      slow(['add', 'dev', 'eth0', 'root', 'netem', 'delay', '150ms', '50ms', 'loss', '3%']);
      slowlyMs.push(await converge());
      slow(['del', 'dev', 'eth0', 'root']);
    },
    'a sidecar restarts': () => restartSidecar(below(2) ? 'api' : 'api-2'),
    'an instance comes and goes': async () => {
      const service = { ...shop.service('api-3') };
      shop.mesh.addService(service);
      await pause(500 + below(2_000));
      shop.mesh.removeService('api-3');
    },
    'checks fail and pass': async () => {
      const id = below(2) ? 'api' : 'api-2';
      shop.mesh.changeService(id, { checks: [{ name: 'http', status: 'critical' }] });
      await pause(500 + below(1_500));
      shop.mesh.changeService(id, { checks: [{ name: 'http', status: 'passing' }] });
    },
    'intentions come and go': async () => {
      for (let i = 0; i < 10; i += 1) {
        const more = below(2) ? [{ name: `caller-${i}`, action: 'allow' as const }] : [];
        shop.mesh.setIntention('api', [{ name: 'web', action: 'allow' }, ...more]);
        await pause(below(100));
      }
    },
    'the CA is rotated': async () => {
      // One may be under way still.
      await shop.world.control.run('ca', 'rotate').catch(() => {});
    },
  };

  test('what may pass passes, what may not does not, and every change arrives', async () => {
    const names = Object.keys(events);
    const end = Date.now() + MINUTES * 60_000;
    const hasNetem = couldSlow();
    while (Date.now() < end) {
      const chosen = names.filter((name) => hasNetem || !name.includes('slow'))[below(names.length - (hasNetem ? 0 : 1))] ?? names[0] ?? '';
      happened.set(chosen, (happened.get(chosen) ?? 0) + 1);
      await events[chosen]?.();
      // Some follow at once, so that one begins while the last one still has effects.
      if (below(3) > 0) {
        await eventually(async () => convergedMs.push(await converge()), { deadlineMs: 90_000 });
        await pause(below(1_000));
      }
    }
    convergedMs.push(await converge());
    const report = await Promise.all(flows.map(async ({ name, mayPass, traffic }) => ({ name, mayPass, ...(await traffic.stop()) })));
    const failed = report.filter(({ mayPass }) => mayPass).flatMap(({ name, failures }) => failures.map((failure) => ({ name, ...failure })));
    const passed = report.filter(({ mayPass }) => !mayPass).reduce((sum, { count, failures }) => sum + count - failures.length, 0);
    const sorted = [...convergedMs].sort((a, b) => a - b);
    const lines = [
      `events: ${[...happened].map(([name, count]) => `${name} ${count}`).join(', ')}`,
      ...report.map(
        ({ name, mayPass, count, failures }) => `${name}: ${count} sent, ${count - failures.length} passed (${mayPass ? 'all should' : 'none should'})`,
      ),
      `requests sent: ${report.reduce((sum, { count }) => sum + count, 0)}`,
      `failed that should have passed: ${failed.length}`,
      `passed that should have failed: ${passed}`,
      `time to converge after ${sorted.length} events: median ${sorted[Math.floor(sorted.length / 2)]} ms, longest ${sorted.at(-1)} ms`,
      `while the network was slow: ${slowlyMs.join(', ') || 'not tried'} ms`,
    ];
    process.stdout.write(
      `\n${lines.join('\n')}\n${failed
        .slice(0, 20)
        .map((one) => JSON.stringify(one))
        .join('\n')}\n`,
    );
    expect(failed.length, 'failed that should have passed').toBe(0);
    expect(passed, 'passed that should have failed').toBe(0);
  });

  /** Whether this kernel can make a network slow. */
  function couldSlow(): boolean {
    try {
      slow(['add', 'dev', 'eth0', 'root', 'netem', 'delay', '1ms']);
      slow(['del', 'dev', 'eth0', 'root']);
      return true;
    } catch {
      process.stdout.write('no netem in this kernel: no slow network\n');
      return false;
    }
  }
});

/** The same sequence for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
