import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeLab } from './lab/describe-lab.ts';
import { findEnvoy, release } from './lab/envoy-binary.ts';
import { eventually } from './lab/eventually.ts';
import { appUid, proxyUid } from './lab/network.ts';
import { openShop, type Shop } from './lab/shop.ts';

/** Few descriptors, so that an Envoy that does not defend itself crashes soon. */
const OPEN_FILES = 900;
/** A third of the descriptors, and three quarters of that for the host's own applications. */
const OUTBOUND_LIMIT = 225;

const versions = findEnvoy(release.newest) ? [undefined, release.newest] : [undefined];

for (const envoyVersion of versions) {
  describeLab(
    `what an application of the host does to its sidecar, Envoy ${envoyVersion ?? 'of this machine'}`,
    () => {
      let shop: Shop;
      beforeAll(async () => {
        shop = await openShop({ hosts: ['web', 'api', 'ledger'], envoyVersion, sidecars: { web: { openFiles: OPEN_FILES } } });
        await works();
      });
      afterAll(() => shop?.close());

      const works = () => shop.web.app.pollHttp({ host: 'api.virtual.consul', wantStatus: 200, sinceMs: Date.now() });
      const sidecar = () => shop.web.sidecar ?? expect.fail('no sidecar');
      const connections = () => sidecar().stat('listener.127.0.0.1_15001.downstream_cx_total');
      const stillTheSame = async () => {
        expect(sidecar().hasEnded, sidecar().output).toBe(false);
        await works();
      };

      test.each([
        ['127.0.0.1', 15_001],
        ['::1', 15_001],
        ['::ffff:127.0.0.1', 15_001],
        ['own IPv4', 15_001],
        ['own IPv6', 15_001],
        ['127.0.0.1', 21_000],
        ['::1', 21_000],
        ['own IPv4', 21_000],
        ['own IPv6', 21_000],
      ])('dialing %s port %i does not make it dial itself', async (where, port) => {
        const host = where.replace('own IPv4', shop.web.ipv4).replace('own IPv6', shop.web.ipv6);
        const before = await connections();
        const outcome = await shop.web.app.tcp({ host, port, send: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n' });
        // The public listener says what it has against plaintext, if anything.
        expect(outcome.end, JSON.stringify(outcome)).not.toBe('timeout');
        expect((await connections()) - before).toBeLessThanOrEqual(1);
        await stillTheSame();
      });

      test('a redirection that captures its own connections ends at the limit, and callers still get in', async () => {
        const before = await connections();
        // The sidecar's own user is not exempt here: whatever it passes on comes back to it.
        shop.web.run('iptables', '-t', 'nat', '-I', 'OUTPUT', '1', '-p', 'tcp', '-d', '10.77.0.200', '-j', 'REDIRECT', '--to-ports', '15001');
        const outcome = await shop.web.app.tcp({ host: '10.77.0.200', port: 80, send: 'x', timeoutMs: 15_000 });
        expect(outcome.end, JSON.stringify(outcome)).not.toBe('open');
        const made = (await connections()) - before;
        expect(made).toBeGreaterThan(100);
        shop.web.run('iptables', '-t', 'nat', '-D', 'OUTPUT', '1');
        await eventually(async () => expect(await sidecar().stat('listener.127.0.0.1_15001.downstream_cx_active')).toBeLessThan(5));
        await stillTheSame();
      });

      test('an application that opens ever more connections is refused, and callers still get in', async () => {
        const { answers } = await shop.web.app.resolve('ledger.virtual.consul');
        const ledger = String(answers[0]);
        const greedy = shop.web.agent(appUid);
        const open = await Promise.all(Array.from({ length: OPEN_FILES }, () => greedy.open({ host: ledger, port: 9000, expect: 'banner' })));
        const served = open.filter(({ received }) => received.includes('banner')).length;
        expect(served).toBeGreaterThan(OUTBOUND_LIMIT / 2);
        expect(served).toBeLessThanOrEqual(OUTBOUND_LIMIT);
        expect(sidecar().hasEnded, sidecar().output).toBe(false);
        // The inbound listener answers: a plaintext caller is told that this is TLS, or cut.
        const inbound = await shop.outsider.app.tcp({ host: shop.web.ipv4, port: 21_000, send: 'x\r\n\r\n' });
        expect(inbound).toMatchObject({ connected: true });
        expect(['fin', 'error']).toContain(inbound.end);
        await greedy.stop('SIGKILL');
        await eventually(stillTheSame);
      });
    },
    envoyVersion,
  );
}

describeLab('the admin interface of an Envoy that `adsum envoy` runs', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ hosts: ['web', 'api'], unregistered: ['ledger'], sidecars: { ledger: { adminBind: null } } });
  });
  afterAll(() => shop?.close());

  test('is closed to other users of the host, by default', async () => {
    const ledger = shop.host('ledger');
    await ledger.sidecar?.waitForOutput(/starting main dispatch loop/);
    const [, socket = ''] = /--unix-socket (\S+) /.exec(ledger.sidecar?.output ?? '') ?? [];
    const ask = async (uid: number) => {
      const program = `require('node:http').get({ socketPath: ${JSON.stringify(socket)}, path: '/server_info' }, (r) => console.log(r.statusCode)).on('error', (e) => console.log(e.code))`;
      const client = ledger.start(uid, process.execPath, '-e', program);
      await client.ended();
      return client.output.trim();
    };
    await eventually(async () => expect(await ask(proxyUid)).toBe('200'));
    expect(await ask(appUid)).toBe('EACCES');
    expect(await ledger.app.http({ host: '127.0.0.1', port: 19_000, path: '/ready' })).toMatchObject({ error: 'ECONNREFUSED' });
  });
});
