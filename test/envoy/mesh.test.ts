import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HttpOutcome, SeenRequest } from './lab/agent.ts';
import { isTls } from './lab/capture.ts';
import { issueLeaf } from './lab/certificates.ts';
import { describeLab } from './lab/describe-lab.ts';
import { measured } from './lab/measure.ts';
import { spiffeId } from './lab/mesh.ts';
import { openShop, type Shop } from './lab/shop.ts';

const marker = 'a-secret-of-the-application';
const forged = 'By=spiffe://x;Hash=00;URI=spiffe://forged/svc/admin';

describeLab('traffic through the mesh', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'api', 'ledger', 'db-1'] });
  });
  afterAll(() => shop?.close());

  const seen = (outcome: HttpOutcome): SeenRequest => {
    expect(outcome).toMatchObject({ status: 200 });
    return JSON.parse(outcome.body ?? '') as SeenRequest;
  };
  const certificates = (request: SeenRequest) =>
    request.raw_headers.filter((name) => name.toLowerCase().replaceAll('_', '-') === 'x-forwarded-client-cert').length;

  test('the first request works soon after the last Envoy was started', async (context) => {
    const outcome = await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: shop.lastEnvoyStartedAtMs });
    expect(seen(outcome)).toMatchObject({ name: 'api', headers: { host: 'api.virtual.consul' } });
    await measured(context, 'first request after the last Envoy start', outcome.afterMs, 2000);
  });

  test('only TLS is on the wire between hosts', async () => {
    const { web } = shop;
    const hosts = ['web', 'api', 'ledger', 'db-1'].map((name) => `host ${shop.host(name).ipv4}`).join(' or ');
    const capture = await shop.world.capture(`tcp and (${hosts}) and not host ${shop.world.control.address}`);
    expect(await web.app.http({ host: 'api.virtual.consul', path: `/${marker}`, headers: { 'x-marker': marker } })).toMatchObject({ status: 200 });
    expect(await web.app.tcp({ host: 'ledger.virtual.consul', port: 9000, send: marker, expect: marker })).toMatchObject({ end: 'open' });
    expect(await web.app.tcp({ host: shop.host('db-1').ipv4, port: 5432, send: marker, expect: marker })).toMatchObject({ end: 'open' });
    const streams = await capture.finish();
    // A request and an answer for each of the three.
    expect(streams.length).toBeGreaterThanOrEqual(6);
    for (const stream of streams) {
      expect(isTls(stream), `${stream.from} > ${stream.to}`).toBe(true);
      expect(stream.bytes.includes(marker), `${stream.from} > ${stream.to}`).toBe(false);
    }
  });

  test('the application sees the verified caller, once', async () => {
    const request = seen(await shop.web.app.http({ host: 'api.virtual.consul' }));
    expect(certificates(request)).toBe(1);
    expect(request.headers['x-forwarded-client-cert']).toContain(`URI=${spiffeId('web')}`);
    expect(request.headers['x-forwarded-client-cert']).toContain(`By=${spiffeId('api')}`);
  });

  test.each(['x-forwarded-client-cert', 'x_forwarded_client_cert'])('a forged %s from the application never arrives', async (header) => {
    const request = seen(await shop.web.app.http({ host: 'api.virtual.consul', headers: { [header]: [forged, forged] } }));
    expect(certificates(request)).toBe(1);
    expect(JSON.stringify(request)).not.toContain('forged');
  });

  test('a forged one from a client with a valid leaf never arrives', async () => {
    const leaf = await issueLeaf(shop.world.control, 'web');
    const send = ['GET / HTTP/1.1', 'host: api', 'connection: close', `x-forwarded-client-cert: ${forged}`, `x_forwarded_client_cert: ${forged}`, '', ''].join(
      '\r\n',
    );
    const outcome = await shop.outsider.app.tcp({ host: shop.host('api').ipv4, port: 21_000, tls: leaf, send });
    expect(outcome.received).toContain('HTTP/1.1 200');
    expect(outcome.received).toContain(`URI=${spiffeId('web')}`);
    expect(outcome.received).not.toContain('forged');
  });

  test('a permission taken back holds at once, although the sidecars keep their connections open', async (context) => {
    const { web, mesh } = shop;
    const permission = (action: string) => ({ name: 'web', permissions: [{ action, http: { path_prefix: '/' } }] });
    mesh.setIntention('api', [permission('allow')]);
    await web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
    const traffic = await web.app.startTraffic('http-keepalive', { host: 'api.virtual.consul', pauseMs: 5 });
    const denied = mesh.setIntention('api', [permission('deny')]);
    const { afterMs } = await web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 403, sinceMs: denied });
    await measured(context, 'a permission taken back', afterMs, 1000);
    await traffic.stop();
    const allowed = mesh.setIntention('api', [{ name: 'web', action: 'allow' }]);
    await web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: allowed });
  });

  test('the sidecars took every update and complained about nothing', async () => {
    for (const name of ['web', 'api', 'ledger', 'db-1']) {
      const { sidecar } = shop.host(name);
      const rejected = Object.entries((await sidecar?.stats('update_rejected$')) ?? {}).filter(([, count]) => count > 0);
      expect(rejected).toEqual([]);
      expect(sidecar?.complaints()).toEqual([]);
    }
  });
});
