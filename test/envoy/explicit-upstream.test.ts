import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeLab } from './lab/describe-lab.ts';
import { openShop, type Shop } from './lab/shop.ts';

describeLab('an explicit upstream on localhost', () => {
  let shop: Shop;
  const upstreams = [
    { destination_name: 'api', local_bind_port: 9191 },
    { destination_name: 'ledger', local_bind_port: 9192 },
  ];
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'api', 'ledger'], services: { web: { name: 'web', port: 8080, protocol: 'http', proxy: { upstreams } } } });
  });
  afterAll(() => shop?.close());

  test('works beside the virtual IP of the same service', async () => {
    const { app } = shop.web;
    expect(await app.pollHttp({ host: '127.0.0.1', port: 9191, wantStatus: 200, sinceMs: Date.now() })).toMatchObject({ status: 200 });
    expect(await app.http({ host: 'api.virtual.consul' })).toMatchObject({ status: 200 });
    for (const target of [
      { host: '127.0.0.1', port: 9192 },
      { host: 'ledger.virtual.consul', port: 9000 },
    ]) {
      expect((await app.tcp({ ...target, send: 'hello', expect: 'hello' })).received).toBe('banner of ledger\nhello');
    }
  });

  test('is refused with the virtual IP when the intention changes, and both come back', async () => {
    const { app } = shop.web;
    shop.mesh.setIntention('api', [{ name: 'web', action: 'deny' }]);
    for (const target of [{ host: '127.0.0.1', port: 9191 }, { host: 'api.virtual.consul' }]) {
      await app.pollHttp({ ...target, wantRefusal: true, sinceMs: Date.now() });
    }
    shop.mesh.setIntention('api', [{ name: 'web', action: 'allow' }]);
    for (const target of [{ host: '127.0.0.1', port: 9191 }, { host: 'api.virtual.consul' }]) {
      await app.pollHttp({ ...target, wantStatus: 200, sinceMs: Date.now() });
    }
  });
});
