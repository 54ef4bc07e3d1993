import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAllTraffic } from './lab/all-traffic.ts';
import { describeLab } from './lab/describe-lab.ts';
import { eventually } from './lab/eventually.ts';
import { openShop, type Shop } from './lab/shop.ts';

const hosts = ['web', 'api', 'ledger', 'api-2'];

describeLab('a control plane that ends and comes back, under constant traffic', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
  });
  afterAll(() => shop?.close());

  const updates = () => Promise.all(hosts.map((name) => shop.host(name).sidecar?.updates()));
  const leaves = () => Promise.all(hosts.map(async (name) => Object.values((await shop.host(name).sidecar?.stats('ssl_context_update_by_sds$')) ?? {})));
  // Envoy waits up to half a minute before it tries again.
  const reconnected = () =>
    eventually(async () => {
      for (const name of hosts) expect(await shop.host(name).sidecar?.stat('control_plane.connected_state'), name).toBe(1);
    });
  /** A change goes through: whatever the restart had to send has been sent before it. */
  const settle = async () => {
    await reconnected();
    shop.mesh.setIntention('ledger', [{ name: 'web', action: 'deny' }]);
    await shop.web.app.pollTcp({ host: 'ledger.virtual.consul', port: 9000, send: 'x', want: 'refusal', sinceMs: Date.now() });
    shop.mesh.setIntention('ledger', [{ name: 'web', action: 'allow' }]);
    await shop.web.app.pollTcp({ host: 'ledger.virtual.consul', port: 9000, expect: 'banner', want: 'bytes', sinceMs: Date.now() });
  };

  test.each(['SIGTERM', 'SIGKILL'] as const)('ended by %s when nothing changes: Envoy is sent nothing', async (signal) => {
    const traffic = await startAllTraffic(shop);
    const addresses = await Promise.all(['api', 'ledger'].map((name) => shop.web.app.resolve(`${name}.virtual.consul`)));
    const [before, leavesBefore] = await Promise.all([updates(), leaves()]);
    await shop.world.control.restart(signal);
    await reconnected();
    // Nothing announces that nothing comes: give it the time that a change would take many times over.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await updates()).toEqual(before);
    expect(await leaves()).toEqual(leavesBefore);
    await traffic.expectNoFailures();
    expect(await Promise.all(['api', 'ledger'].map((name) => shop.web.app.resolve(`${name}.virtual.consul`)))).toEqual(addresses);
  });

  test('killed with -9 in the middle of changes: no failed request, and the last change arrives', async () => {
    const traffic = await startAllTraffic(shop);
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 10; i += 1) {
        shop.mesh.setEntry({ kind: 'service-intentions', name: `future-${round}-${i}`, sources: [{ name: 'web', action: 'allow' }] });
        await new Promise((resolve) => setTimeout(resolve, 7));
      }
      await shop.world.control.restart('SIGKILL');
    }
    await reconnected();
    await eventually(async () => {
      const { answers } = await shop.web.app.resolve('future-2-9.virtual.consul');
      expect(answers).toHaveLength(1);
      expect(await shop.web.sidecar?.admin('/clusters')).toContain('future-2-9.default');
    });
    await traffic.expectNoFailures();
    await settle();
    for (const name of hosts) {
      const rejected = Object.entries((await shop.host(name).sidecar?.stats('update_rejected$')) ?? {}).filter(([, count]) => count > 0);
      expect(rejected).toEqual([]);
    }
  });
});
