import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeLab } from './lab/describe-lab.ts';
import { release } from './lab/envoy-binary.ts';
import { openShop, type Shop } from './lab/shop.ts';

const hosts = ['web', 'api', 'ledger', 'db-1'];

/** The oldest and the newest that are promised. Others, which must be in .tools: ENVOY_VERSIONS=1.37.0,1.38.3 */
const versions = process.env.ENVOY_VERSIONS?.split(',') ?? [release.default, release.newest];

describe.each(versions)('Envoy %s', (version) => {
  describeLab(
    'takes everything adsum sends',
    () => {
      let shop: Shop;
      beforeAll(async () => {
        const permissions = [
          { action: 'deny', http: { path_regex: '/private/.*', methods: ['GET'] } },
          { action: 'allow', http: { path_prefix: '/', header: [{ name: 'x-team', present: true }] } },
        ];
        const allowed = [{ name: 'web', action: 'allow' as const }];
        const upstreams = [{ destination_name: 'ledger', local_bind_port: 9192 }];
        shop = await openShop({
          hosts,
          envoyVersion: version,
          intentions: { api: [{ name: 'web', permissions }], ledger: allowed, db: allowed },
          services: { web: { name: 'web', port: 8080, protocol: 'http', proxy: { upstreams } } },
        });
      });
      afterAll(() => shop?.close());

      test('HTTP, TCP and headless traffic flows', async () => {
        const { app } = shop.web;
        const headers = { 'x-team': 'red' };
        await app.pollHttp({ host: 'api.virtual.consul', headers, wantStatus: 200, sinceMs: Date.now() });
        expect(await app.http({ host: 'api.virtual.consul', headers, path: '/private/x' })).toMatchObject({ status: 403 });
        for (const [host, port] of [
          ['ledger.virtual.consul', 9000],
          ['127.0.0.1', 9192],
          [shop.host('db-1').ipv4, 5432],
        ] as const) {
          expect((await app.tcp({ host, port, send: 'hello', expect: 'hello' })).received).toContain('hello');
        }
      });

      test('changes are taken: deny, allow, default policy of the mesh, an instance more', async () => {
        const { app } = shop.web;
        shop.mesh.setIntention('ledger', [{ name: 'web', action: 'deny' }]);
        await app.pollTcp({ host: 'ledger.virtual.consul', port: 9000, send: 'x', want: 'refusal', sinceMs: Date.now() });
        shop.mesh.setEntry({ kind: 'mesh', name: 'mesh', transparent_proxy: { mesh_destinations_only: true } });
        shop.mesh.setIntention('ledger', [{ name: 'web', action: 'allow' }]);
        await app.pollTcp({ host: 'ledger.virtual.consul', port: 9000, expect: 'banner', want: 'bytes', sinceMs: Date.now() });
      });

      test('0 rejected updates, no deprecated or unknown field, no warning in the log', async () => {
        for (const name of hosts) {
          const { sidecar } = shop.host(name);
          const counters = (await sidecar?.stats('(update_rejected|deprecated_feature_use|unknown_fields)$')) ?? {};
          expect(
            Object.entries(counters).filter(([, count]) => count > 0),
            name,
          ).toEqual([]);
          expect(sidecar?.complaints(), name).toEqual([]);
        }
      });
    },
    version,
  );
});
