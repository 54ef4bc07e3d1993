import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProxyStatus } from '../../src/admin/admin-api.ts';
import type { Problem } from '../../src/mesh/problem.ts';
import { type ClientCertificate, issueLeaf } from './lab/certificates.ts';
import { describeLab } from './lab/describe-lab.ts';
import { eventually } from './lab/eventually.ts';
import { openShop, type Shop } from './lab/shop.ts';

/** What users configure, and what Envoy refuses, opens no application. Whom intentions deny tries it from outside, with a leaf of the mesh and without. */

const API = 'type.googleapis.com/envoy.extensions.filters';
const TCP_TO_APP = [{ name: 't', typed_config: { '@type': `${API}.network.tcp_proxy.v3.TcpProxy`, stat_prefix: 'x', cluster: 'local_app' } }];
const router = { name: 'envoy.filters.http.router', typed_config: { '@type': `${API}.http.router.v3.Router` } };

function managerWith(more: object, override?: object): object {
  const host = { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'local_app' } }] };
  const routes = { name: 'r', virtual_hosts: [{ ...host, ...(override && { typed_per_filter_config: { 'envoy.filters.http.rbac': override } }) }] };
  const type = `${API}.network.http_connection_manager.v3.HttpConnectionManager`;
  return { name: 'h', typed_config: { '@type': type, stat_prefix: 'x', route_config: routes, http_filters: [router], ...more } };
}

function publicListener(...filters: object[]): object {
  const address = { socket_address: { address: '0.0.0.0', port_value: 21_000 } };
  return { config: { envoy_public_listener_json: JSON.stringify({ name: 'public_listener:0.0.0.0:21000', address, filter_chains: [{ filters }] }) } };
}

function override(direction: string, path: string, value: unknown): object {
  const patch = { resource_filter: { resource_type: 'listener', traffic_direction: direction }, op: 'add', path, value };
  return { envoy_extensions: [{ name: 'builtin/property-override', arguments: { proxy_type: 'connect-proxy', patches: [patch] } }] };
}

/** By what is written into proxy-defaults. */
const WAYS_IN: [string, object][] = [
  ['a property override that replaces the chains', override('inbound', '/filter_chains', [{ filters: TCP_TO_APP }])],
  ['a property override in the other spelling', override('inbound', '/filterChains', [{ filters: TCP_TO_APP }])],
  ['a property override that adds a default chain', override('inbound', '/default_filter_chain', { filters: TCP_TO_APP })],
  ['a property override that lets another listener lead to the application', override('outbound', '/filter_chains', [{ filters: TCP_TO_APP }])],
  ['a hatch whose routes have rules of their own', publicListener(managerWith({}, { '@type': `${API}.http.rbac.v3.RBACPerRoute` }))],
  [
    'a hatch whose routes switch the rules off',
    publicListener(managerWith({}, { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true })),
  ],
  ['a hatch with other filters for upgrades', publicListener(managerWith({ upgrade_configs: [{ upgrade_type: 'websocket', filters: [router] }] }))],
];

const TRACING = {
  provider: {
    name: 'envoy.tracers.zipkin',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.config.trace.v3.ZipkinConfig',
      collector_cluster: 'no_such_cluster',
      collector_endpoint: '/spans',
      collector_endpoint_version: 'HTTP_JSON',
    },
  },
};

describeLab('the application stays closed', () => {
  let shop: Shop;
  let leaf: ClientCertificate;
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'api', 'ledger'] });
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
    leaf = await issueLeaf(shop.world.control, 'web');
  });
  afterAll(() => shop?.close());

  const problems = () => shop.world.control.admin<Problem[]>('/v1/problems');
  const proxies = () => shop.world.control.admin<ProxyStatus[]>('/v1/proxies');
  const settled = (id: string) =>
    eventually(async () => {
      const status = (await proxies()).find((proxy) => proxy.id === id);
      const types = status?.streams.flatMap((stream) => stream.types) ?? [];
      if (types.length === 0 || types.some(({ pending }) => pending)) throw new Error(`${id} has not answered yet`);
    });
  const received = async (name: string, port: number) => (await shop.host(name).app.received(port)).bytes;

  /** Tries all doors of a host; what the application got of it. */
  const knock = async (name: string, applicationPort: number) => {
    const before = await received(name, applicationPort);
    const upgrade = 'GET / HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
    for (const send of ['GET /secret HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n', upgrade]) {
      for (const tls of [leaf, undefined]) {
        for (const port of [21_000, applicationPort]) {
          const outcome = await shop.outsider.app.tcp({ host: shop.host(name).ipv4, port, ...(tls && { tls }), send, timeoutMs: 3000 });
          expect(outcome.received, `${port}`).not.toMatch(/HTTP\/1\.1 (200|101)|banner/);
        }
      }
    }
    expect(await received(name, applicationPort)).toBe(before);
  };

  test.each(WAYS_IN)('%s', async (_what, defaults) => {
    shop.mesh.setIntention('api', [{ name: 'web', action: 'deny' }]);
    shop.mesh.setIntention('ledger', [{ name: 'web', action: 'deny' }]);
    shop.mesh.setEntry({ kind: 'proxy-defaults', name: 'global', ...defaults });
    await eventually(async () => {
      const found = (await problems()).filter(({ code }) => code === 'unguarded-change');
      if (!found.some(({ proxies: ids }) => ids?.includes('api-sidecar-proxy'))) throw new Error(JSON.stringify(found));
    });
    await settled('api-sidecar-proxy');
    await settled('ledger-sidecar-proxy');
    await knock('api', 8080);
    await knock('ledger', 9000);
  });

  test('a caller who is denied in the same change as something that Envoy refuses is denied', async () => {
    shop.mesh.removeEntry('proxy-defaults', 'global');
    shop.mesh.setIntention('ledger', [{ name: 'web', action: 'allow' }]);
    const allowedMs = shop.mesh.setIntention('api', [{ name: 'web', action: 'allow' }]);
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: allowedMs });
    await settled('api-sidecar-proxy');
    // One change: the denial, and tracing by a cluster that is not there.
    const { config_entries: entries, ...mesh } = shop.mesh.toFile() as { config_entries: { kind: string; name: string }[] };
    const others = entries.filter(({ kind, name }) => kind !== 'service-intentions' || name !== 'api');
    shop.world.control.writeMesh({
      ...mesh,
      config_entries: [
        ...others,
        { kind: 'service-intentions', name: 'api', sources: [{ name: 'web', action: 'deny' }] },
        { kind: 'proxy-defaults', name: 'global', config: { envoy_listener_tracing_json: JSON.stringify(TRACING) } },
      ],
    });
    const refused = await eventually(async () => {
      const found = (await problems()).find(({ code, message }) => code === 'envoy-refused' && message.includes('api-sidecar-proxy'));
      if (!found) throw new Error('nothing is refused');
      return found;
    });
    expect(refused.message).toMatch(/does not take listener public_listener:0\.0\.0\.0:21000, so nobody may call the service: .*no_such_cluster/);
    expect(refused.place?.object).toBe('proxy-defaults/global');
    await settled('api-sidecar-proxy');
    await knock('api', 8080);
    expect(await shop.world.control.run('proxies')).toMatch(/api-sidecar-proxy.*\n.*NOT TAKEN .*nobody may call the service/);
    // Whom nothing was taken from goes on: its rights are the same, so what it had stays in force.
    expect((await shop.outsider.app.tcp({ host: shop.host('ledger').ipv4, port: 21_000, tls: leaf, send: 'hello', expect: 'hello' })).received).toContain(
      'hello',
    );
    const mendedMs = shop.mesh.setIntention('api', [{ name: 'web', action: 'allow' }]);
    await shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: mendedMs });
    expect((await problems()).filter(({ code }) => code === 'envoy-refused')).toEqual([]);
  });
});
