import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeLab } from './lab/describe-lab.ts';
import { openShop, type Shop } from './lab/shop.ts';

const permissions = [
  { action: 'deny', http: { path_prefix: '/public/private' } },
  { action: 'allow', http: { path_exact: '/exact' } },
  { action: 'allow', http: { path_prefix: '/public/', methods: ['GET', 'HEAD'] } },
  { action: 'allow', http: { path_regex: '/orders/[0-9]+' } },
  { action: 'allow', http: { path_exact: '/with-header', header: [{ name: 'x-team', exact: 'red' }] } },
  { action: 'deny', http: { path_prefix: '/tools', header: [{ name: 'x-debug', present: true }] } },
  { action: 'allow', http: { path_prefix: '/tools' } },
];

type Case = [method: string, path: string, status: number, headers?: Record<string, string>];
const cases: Case[] = [
  ['GET', '/exact', 200],
  ['GET', '/exact?page=2', 200],
  ['GET', '/exact/', 403],
  ['GET', '/exactly', 403],
  ['GET', '/Exact', 403],
  ['GET', '/', 403],
  ['GET', '/public/index', 200],
  ['HEAD', '/public/index', 200],
  ['POST', '/public/index', 403],
  ['GET', '/public', 403],
  ['GET', '/public/private', 403],
  ['GET', '/public/private/keys?x=/exact', 403],
  ['GET', '/public/a/../private', 403],
  ['GET', '/public/./private', 403],
  ['GET', '/public/%2e/private', 403],
  ['GET', '/public/a/%2e%2e/private', 403],
  ['GET', '/public/a/%2E%2E/private', 403],
  ['GET', '/public//private', 403],
  ['GET', '//public/private', 403],
  ['GET', '/public//index', 200],
  ['GET', '/public/%70rivate', 403],
  ['GET', '/public/../private', 403],
  ['GET', '/public/../exact', 200],
  ['GET', '/private/../public/index', 200],
  ['GET', '/orders/42', 200],
  ['GET', '/orders/42?all=1', 200],
  ['GET', '/orders/42/lines', 403],
  ['GET', '/orders/x', 403],
  ['GET', '/with-header', 403],
  ['GET', '/with-header', 200, { 'x-team': 'red' }],
  ['GET', '/with-header', 403, { 'x-team': 'redder' }],
  ['GET', '/tools/list', 200],
  ['GET', '/tools/list', 403, { 'x-debug': '1' }],
];

describeLab('L7 intentions', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'api'], intentions: { api: [{ name: 'web', permissions }] } });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', path: '/exact', wantStatus: 200, sinceMs: Date.now() });
  });
  afterAll(() => shop?.close());

  test.each(cases)('%s %s is answered with %i', async (method, path, status, headers = {}) => {
    const outcome = await shop.web.app.http({ host: 'api.virtual.consul', method, path, headers });
    expect(outcome.status, JSON.stringify(outcome)).toBe(status);
  });

  test.each(['/public%2fprivate', '/public/%2fprivate', '/public/%2F..%2fprivate', '/public%5cprivate', '/public/a\\..\\private'])(
    '%s does not get to the application',
    async (path) => {
      const outcome = await shop.web.app.http({ host: 'api.virtual.consul', path });
      expect([400, 403], JSON.stringify(outcome)).toContain(outcome.status);
    },
  );

  test('what the mesh says of slashes is done', async () => {
    const ask = (path: string) => ({ host: 'api.virtual.consul', path });
    const setNormalization = (request_normalization: object) =>
      shop.mesh.setEntry({ kind: 'mesh', name: 'mesh', http: { incoming: { request_normalization } } });
    const unescapedMs = setNormalization({ merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' });
    await shop.web.app.pollHttp({ ...ask('/public%2findex'), wantStatus: 200, sinceMs: unescapedMs });
    for (const path of ['/public//private', '/public/%2fprivate', '/public/%2e%2e%2fpublic//private']) {
      expect((await shop.web.app.http(ask(path))).status, path).toBe(403);
    }
    const keptMs = setNormalization({ merge_slashes: false, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' });
    await shop.web.app.pollHttp({ ...ask('/public//private'), wantStatus: 200, sinceMs: keptMs });
    shop.mesh.removeEntry('mesh', 'mesh');
    await shop.web.app.pollHttp({ ...ask('/public//private'), wantStatus: 403, sinceMs: Date.now() });
  });

  test('a request with an absolute URL is judged by its path', async () => {
    const send = 'GET http://api.virtual.consul/public/private HTTP/1.1\r\nhost: api.virtual.consul\r\nconnection: close\r\n\r\n';
    const outcome = await shop.web.app.tcp({ host: 'api.virtual.consul', port: 80, send });
    expect(outcome.received).toMatch(/^HTTP\/1\.1 (403|400) /);
  });
});
