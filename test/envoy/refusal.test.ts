import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TcpOutcome } from './lab/agent.ts';
import { type ClientCertificate, issueLeaf, selfSignedLeaf } from './lab/certificates.ts';
import { describeLab } from './lab/describe-lab.ts';
import { measured } from './lab/measure.ts';
import { spiffeId } from './lab/mesh.ts';
import { openShop, type Shop } from './lab/shop.ts';

/** Without the alert with which a sidecar answers what is no TLS. */
function applicationBytes({ received }: TcpOutcome): string {
  return received.startsWith('\x15\x03') && received.length === 7 ? '' : received;
}

describeLab('who is refused', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'api', 'ledger', 'db-1'] });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
  });
  afterAll(() => shop?.close());

  /** The peer ended it by itself, soon, without a byte of the application. */
  const expectRefusal = (outcome: TcpOutcome) => {
    expect(applicationBytes(outcome), JSON.stringify(outcome)).toBe('');
    expect(['fin', 'error', 'closed'], JSON.stringify(outcome)).toContain(outcome.end);
  };
  const get = 'GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n';

  describe.each(['ipv4', 'ipv6'] as const)('from outside over %s', (family) => {
    const plaintext = [
      ['api', 8080, get],
      ['api', 21_000, get],
      ['ledger', 9000, undefined],
      ['ledger', 21_000, 'hello'],
    ] as const;
    test.each(plaintext)('plaintext to %s port %i', async (name, port, send) => {
      const before = await shop.host(name).app.received(name === 'api' ? 8080 : 9000);
      // Who says nothing is left waiting by a sidecar that waits for TLS; what counts is that nothing comes.
      const outcome = await shop.outsider.app.tcp({ host: shop.host(name)[family], port, send, timeoutMs: send === undefined ? 1000 : 20_000 });
      expect(applicationBytes(outcome)).toBe('');
      if (send !== undefined) expectRefusal(outcome);
      expect((await shop.host(name).app.received(name === 'api' ? 8080 : 9000)).bytes).toBe(before.bytes);
    });

    const clients: [string, (shop: Shop) => Promise<ClientCertificate | object>][] = [
      ['without a client certificate', async () => ({})],
      ['with a self-signed certificate and the SPIFFE ID of web', () => selfSignedLeaf(spiffeId('web'))],
      ['with a valid leaf of a service that is not allowed', ({ world }) => issueLeaf(world.control, 'intruder')],
    ];
    test.each(clients)('TLS %s', async (_who, certificate) => {
      const tls = await certificate(shop);
      for (const port of [21_000, 9000]) {
        expectRefusal(await shop.outsider.app.tcp({ host: shop.host('ledger')[family], port, tls, timeoutMs: 20_000 }));
      }
      const outcome = await shop.outsider.app.tcp({ host: shop.host('api')[family], port: 21_000, tls, send: get, timeoutMs: 20_000 });
      // An HTTP service may explain itself to a peer with a valid leaf; the application must not have answered.
      if (outcome.received) expect(outcome.received).toMatch(/^HTTP\/1\.1 403 /);
      else expectRefusal(outcome);
    });

    test('but a valid leaf of a service that is allowed gets in', async () => {
      const tls = await issueLeaf(shop.world.control, 'web');
      const outcome = await shop.outsider.app.tcp({ host: shop.host('ledger')[family], port: 21_000, tls, send: 'hello', expect: 'hello' });
      expect(outcome.received).toBe('banner of ledger\nhello');
    });
  });

  test('an application cannot go round the mesh by an IPv6 address', async () => {
    const outcome = await shop.web.app.http({ host: shop.host('api').ipv6, port: 8080 });
    expect(outcome.error, JSON.stringify(outcome)).toBeDefined();
    expectRefusal(await shop.web.app.tcp({ host: shop.host('ledger').ipv6, port: 9000, send: 'hello', timeoutMs: 20_000 }));
  });

  describe('by an intention that changes', () => {
    test('an HTTP service', async (context) => {
      const { web, mesh } = shop;
      const request = { host: 'api.virtual.consul' };
      const deniedMs = mesh.setIntention('api', [{ name: 'web', action: 'deny' }]);
      const denied = await web.app.pollHttp({ ...request, wantRefusal: true, sinceMs: deniedMs });
      await measured(context, 'deny of an HTTP service', denied.afterMs, 100);
      await measured(context, 'a refused request', denied.ms, 50);
      const allowedMs = mesh.setIntention('api', [{ name: 'web', action: 'allow' }]);
      const allowed = await web.app.pollHttp({ ...request, wantStatus: 200, sinceMs: allowedMs });
      await measured(context, 'allow of an HTTP service', allowed.afterMs, 100);
    });

    test('a TCP service on its virtual IP', async (context) => {
      const { web, mesh } = shop;
      const target = { host: 'ledger.virtual.consul', port: 9000, send: 'hello', expect: 'hello' };
      expect((await web.app.tcp(target)).received).toBe('banner of ledger\nhello');
      const deniedMs = mesh.setIntention('ledger', [{ name: 'web', action: 'deny' }]);
      const denied = await web.app.pollTcp({ ...target, want: 'refusal', sinceMs: deniedMs });
      await measured(context, 'deny of a TCP service', denied.afterMs, 100);
      await measured(context, 'a refused connection', denied.ms, 50);
      expectRefusal(await web.app.tcp({ host: 'ledger.virtual.consul', port: 9000, timeoutMs: 20_000 }));
      const allowedMs = mesh.setIntention('ledger', [{ name: 'web', action: 'allow' }]);
      const allowed = await web.app.pollTcp({ ...target, want: 'bytes', sinceMs: allowedMs });
      await measured(context, 'allow of a TCP service', allowed.afterMs, 100);
    });

    test('a caller whose own sidecar does not know of it yet is refused by the destination', async (context) => {
      const { mesh, world } = shop;
      const tls = await issueLeaf(world.control, 'web');
      const target = { host: shop.host('ledger').ipv4, port: 21_000, tls, expect: 'banner' };
      const deniedMs = mesh.setIntention('ledger', [{ name: 'web', action: 'deny' }]);
      const denied = await shop.outsider.app.pollTcp({ ...target, want: 'refusal', sinceMs: deniedMs });
      await measured(context, 'deny, at the destination', denied.afterMs, 100);
      const allowedMs = mesh.setIntention('ledger', [{ name: 'web', action: 'allow' }]);
      await shop.outsider.app.pollTcp({ ...target, want: 'bytes', sinceMs: allowedMs });
    });

    test('a headless instance: none of the bytes leave in plaintext', async (context) => {
      const { web, mesh } = shop;
      const db = shop.host('db-1');
      const marker = 'bytes-that-must-not-leave';
      const target = { host: db.ipv4, port: 5432, send: marker };
      expect((await web.app.tcp({ ...target, expect: marker })).received).toContain(marker);
      const capture = await shop.world.capture(`tcp and host ${web.ipv4} and host ${db.ipv4}`);
      const deniedMs = mesh.setIntention('db', [{ name: 'web', action: 'deny' }]);
      const denied = await web.app.pollTcp({ ...target, expect: marker, want: 'refusal', sinceMs: deniedMs });
      await measured(context, 'deny of a headless instance', denied.afterMs, 100);
      for (let i = 0; i < 5; i += 1) expectRefusal(await web.app.tcp({ ...target, timeoutMs: 20_000 }));
      const streams = await capture.finish();
      expect(streams.filter((stream) => stream.bytes.includes(marker)).map(({ from, to }) => `${from} > ${to}`)).toEqual([]);
      const allowedMs = mesh.setIntention('db', [{ name: 'web', action: 'allow' }]);
      await web.app.pollTcp({ ...target, expect: marker, want: 'bytes', sinceMs: allowedMs });
    });
  });

  test('connections that were open before the redirection live on, through its installation and its removal', async () => {
    const { outsider, world } = shop;
    const plain = world.host('plain');
    await Promise.all([plain.app.listen({ kind: 'banner', name: 'sshd', port: 22 }), outsider.app.listen({ kind: 'banner', name: 'far', port: 7000 })]);
    const inward = await outsider.app.open({ host: plain.ipv4, port: 22, expect: 'banner' });
    const outward = await plain.app.open({ host: outsider.ipv4, port: 7000, expect: 'banner' });
    const bothLive = async (text: string) => {
      expect((await outsider.app.exchange(inward.connection, text)).received).toBe(text);
      expect((await plain.app.exchange(outward.connection, text)).received).toBe(text);
    };
    await bothLive('before\n');
    plain.redirect();
    await bothLive('redirected\n');
    expect(await outsider.app.tcp({ host: plain.ipv4, port: 22 }), 'the redirection is there').toMatchObject({ error: 'ECONNREFUSED' });
    plain.undoRedirect();
    await bothLive('undone\n');
  });
});
