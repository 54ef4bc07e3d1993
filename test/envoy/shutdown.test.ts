import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeLab } from './lab/describe-lab.ts';
import { findEnvoy, release } from './lab/envoy-binary.ts';
import { eventually } from './lab/eventually.ts';
import { openShop, type Shop } from './lab/shop.ts';

const versions = findEnvoy(release.newest) ? [undefined, release.newest] : [undefined];

for (const envoyVersion of versions) {
  describeLab(
    `SIGTERM to adsum envoy, Envoy ${envoyVersion ?? 'of this machine'}`,
    () => {
      let shop: Shop;
      beforeAll(async () => {
        // The second instance keeps the service there while the first one ends.
        shop = await openShop({ hosts: ['web', 'api', 'api-2', 'ledger'], envoyVersion });
        await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
      });
      afterAll(() => shop?.close());

      test('requests in flight are answered, and constant traffic goes to the other instance without a failure', async () => {
        const { answers } = await shop.web.app.resolve('api.virtual.consul');
        const target = { host: String(answers[0]), headers: { host: 'api.virtual.consul' } };
        const traffic = await Promise.all((['http', 'http-keepalive'] as const).map((kind) => shop.web.app.startTraffic(kind, { ...target, pauseMs: 5 })));
        // Some of these are with each instance when the signal comes.
        const slow = Array.from({ length: 20 }, () => shop.web.app.http({ ...target, headers: { ...target.headers, 'x-lab-delay-ms': '2500' } }));
        const leaving = shop.host('api').sidecar;
        await eventually(async () => expect(await leaving?.stat('http.public_listener.downstream_rq_active')).toBeGreaterThan(3));
        leaving?.child.kill('SIGTERM');
        for (const { status, error } of await Promise.all(slow)) expect(error ?? status).toBe(200);
        expect(await leaving?.ended()).toBe(0);
        for (const running of traffic) {
          const before = (await running.read()).count;
          await eventually(async () => expect((await running.read()).count).toBeGreaterThan(before + 20));
          expect((await running.stop()).failures).toEqual([]);
        }
      });

      test('a silent TCP connection holds nothing up, a second signal ends it at once', async () => {
        const idle = await shop.web.app.open({ host: 'ledger.virtual.consul', port: 9000, expect: 'banner' });
        expect(idle.received).toContain('banner');
        const leaving = shop.host('ledger').sidecar;
        leaving?.child.kill('SIGTERM');
        expect(await leaving?.ended()).toBe(0);

        const hanging = shop.web.app.http({ host: 'api.virtual.consul', headers: { 'x-lab-delay-ms': '60000' }, timeoutMs: 60_000 });
        const last = shop.host('api-2').sidecar;
        await eventually(async () => expect(await last?.stat('http.public_listener.downstream_rq_active')).toBe(1));
        last?.child.kill('SIGTERM');
        // It drains: no caller gets in any more.
        const callIn = () => shop.outsider.app.tcp({ host: shop.host('api-2').ipv4, port: 21_000 });
        await eventually(async () => expect(await callIn()).toMatchObject({ error: 'ECONNREFUSED' }));
        last?.child.kill('SIGTERM');
        expect(await last?.ended()).toBe(0);
        expect((await hanging).status ?? 0).not.toBe(200);
      });
    },
    envoyVersion,
  );
}
