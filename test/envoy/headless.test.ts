import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeLab } from './lab/describe-lab.ts';
import { openShop, type Shop } from './lab/shop.ts';

describeLab('instances dialed by their addresses', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'db-1', 'db-2'] });
    await shop.outsider.app.listen({ kind: 'banner', name: 'outsider', port: 7000 });
    await shop.web.app.pollTcp({ host: shop.host('db-1').ipv4, port: 5432, expect: 'banner', want: 'bytes', sinceMs: Date.now() });
  });
  afterAll(() => shop?.close());

  test.each(['db-1', 'db-2'])('%s is reached, and only it', async (name) => {
    for (let i = 0; i < 10; i += 1) {
      const outcome = await shop.web.app.tcp({ host: shop.host(name).ipv4, port: 5432, send: 'hello', expect: 'hello' });
      expect(outcome.received).toBe(`banner of ${name}\nhello`);
    }
  });

  test('their names lead to both', async () => {
    const { answers } = await shop.web.app.resolve('db.service.consul');
    expect([...answers].sort()).toEqual([shop.host('db-1').ipv4, shop.host('db-2').ipv4]);
  });

  test('the destination sees a caller with a certificate', async () => {
    const before = await shop.host('db-2').sidecar?.stat('listener.0.0.0.0_21000.ssl.handshake');
    await shop.web.app.tcp({ host: shop.host('db-2').ipv4, port: 5432, expect: 'banner' });
    expect(await shop.host('db-2').sidecar?.stat('listener.0.0.0.0_21000.ssl.handshake')).toBeGreaterThan(before ?? 0);
  });

  test('an instance that does not answer ends the connection and disturbs no other', async () => {
    await shop.host('db-2').app.unlisten(5432);
    const outcome = await shop.web.app.tcp({ host: shop.host('db-2').ipv4, port: 5432, timeoutMs: 20_000 });
    expect(outcome.received).toBe('');
    expect(outcome.end).not.toBe('timeout');
    expect((await shop.web.app.tcp({ host: shop.host('db-1').ipv4, port: 5432, expect: 'banner' })).received).toContain('db-1');
    await shop.host('db-2').app.listen({ kind: 'banner', name: 'db-2', port: 5432 });
  });

  test('an address outside the mesh passes, unless only destinations of the mesh are allowed', async () => {
    const { web, outsider, mesh } = shop;
    const outside = { host: outsider.ipv4, port: 7000, expect: 'banner' };
    expect((await web.app.tcp(outside)).received).toContain('banner of outsider');
    expect((await web.app.tcp({ ...outside, host: outsider.ipv6 })).received).toContain('banner of outsider');
    mesh.setEntry({ kind: 'mesh', name: 'mesh', transparent_proxy: { mesh_destinations_only: true } });
    for (const host of [outsider.ipv4, outsider.ipv6]) {
      const outcome = await web.app.pollTcp({ ...outside, host, want: 'refusal', sinceMs: Date.now() });
      expect(outcome.received).toBe('');
    }
    expect((await web.app.tcp({ host: shop.host('db-1').ipv4, port: 5432, expect: 'banner' })).received).toContain('db-1');
    mesh.removeEntry('mesh', 'mesh');
    await web.app.pollTcp({ ...outside, want: 'bytes', sinceMs: Date.now() });
  });
});
