import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startAllTraffic } from './lab/all-traffic.ts';
import { describeLab } from './lab/describe-lab.ts';
import { eventually } from './lab/eventually.ts';
import { openShop, type Shop } from './lab/shop.ts';

const hosts = ['web', 'api', 'ledger'];
const changes = 'listener_(modified|added|removed|in_place_updated)|cluster_(modified|added|removed)|total_(filter_chains|listeners)_draining';

describeLab('CA rotation under constant traffic', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
  });
  afterAll(() => shop?.close());

  const changeCounters = () => Promise.all(hosts.map((name) => shop.host(name).sidecar?.stats(`(${changes})$`)));
  const leafOf = async (name: string) => {
    const { peer, error } = await shop.outsider.app.tcp({ host: shop.host(name).ipv4, port: 21_000, tls: {}, timeoutMs: 1000 });
    if (!peer) throw new Error(`no certificate of ${name}: ${error}`);
    return new X509Certificate(peer);
  };

  test('every leaf is replaced, no request fails, no listener or cluster changes', async () => {
    const before = await changeCounters();
    const oldLeaves = await Promise.all(hosts.map(leafOf));
    const traffic = await startAllTraffic(shop);
    await shop.world.control.run('ca', 'rotate');
    for (const [index, name] of hosts.entries()) {
      await eventually(async () => expect((await leafOf(name)).fingerprint256).not.toBe(oldLeaves[index]?.fingerprint256), { everyMs: 250 });
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await traffic.expectNoFailures();
    expect(await changeCounters()).toEqual(before);
    for (const name of hosts) expect(shop.host(name).sidecar?.complaints()).toEqual([]);
  });
});
