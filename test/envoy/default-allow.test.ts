import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueLeaf } from './lab/certificates.ts';
import { describeLab } from './lab/describe-lab.ts';
import { openShop, type Shop } from './lab/shop.ts';

describeLab('a mesh in which everything is allowed but what is denied', () => {
  let shop: Shop;
  beforeAll(async () => {
    const deny = (name: string) => ({ name, action: 'deny' as const });
    const permissions = [{ action: 'deny', http: { path_prefix: '/admin' } }];
    shop = await openShop({
      hosts: ['web', 'api', 'ledger'],
      defaultPolicy: 'allow',
      intentions: { ledger: [deny('intruder'), deny('web-bad')], api: [deny('intruder'), { name: 'web', permissions }] },
    });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
  });
  afterAll(() => shop?.close());

  const dialLedger = async (service: string) => {
    const tls = await issueLeaf(shop.world.control, service);
    return shop.outsider.app.tcp({ host: shop.host('ledger').ipv4, port: 21_000, tls, expect: 'banner of ledger', timeoutMs: 20_000 });
  };

  test.each(['web', 'anybody', 'intrude', 'intruders', 'web-ba'])('a TCP service that speaks first answers %s', async (service) => {
    expect((await dialLedger(service)).received).toContain('banner of ledger');
  });

  test.each(['intruder', 'web-bad'])('and sends not one byte to %s, which is denied', async (service) => {
    const outcome = await dialLedger(service);
    expect(outcome.received).toBe('');
    expect(['fin', 'error', 'closed']).toContain(outcome.end);
  });

  test('an HTTP service refuses what is denied, caller or path', async () => {
    const { app } = shop.web;
    expect(await app.http({ host: 'api.virtual.consul', path: '/orders' })).toMatchObject({ status: 200 });
    expect(await app.http({ host: 'api.virtual.consul', path: '/admin/users' })).toMatchObject({ status: 403 });
    const get = 'GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n';
    const tls = await issueLeaf(shop.world.control, 'intruder');
    const outcome = await shop.outsider.app.tcp({ host: shop.host('api').ipv4, port: 21_000, tls, send: get, timeoutMs: 20_000 });
    expect(outcome.received).not.toContain('200 OK');
  });

  test('without a certificate nobody gets in', async () => {
    const outcome = await shop.outsider.app.tcp({ host: shop.host('ledger').ipv4, port: 21_000, tls: {}, timeoutMs: 20_000 });
    expect(outcome.received).toBe('');
    expect(['fin', 'error', 'closed']).toContain(outcome.end);
  });
});
