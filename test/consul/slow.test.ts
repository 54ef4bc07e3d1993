import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../envoy/lab/eventually.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { fill } from './lab/fill.ts';
import { type SlowProxy, startSlowProxy } from './lab/slow-proxy.ts';

const reason = whyNoConsul();
const SERVICES = 20;
/** Nine kinds of entries, the roots, the checks, and two for the catalog; see docs/consul.md. */
const WATCHES = 13;
const LOOK_MS = 20_000;

/** Every answer of this Consul takes one to three seconds longer than it should. */
describe.skipIf(reason)(`a slow Consul${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-slow-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const lines: string[] = [];
  let consul: ConsulAgent;
  let proxy: SlowProxy;
  let adsum: Adsum;

  beforeAll(async () => {
    consul = await ConsulAgent.start({ folder: path.join(folder, 'consul') });
    closers.push(() => consul.kill());
    await fill(consul, { services: SERVICES, instances: 2 });
    proxy = await startSlowProxy(consul.http, (at) => 1_000 + (at % 3) * 1_000);
    closers.push(() => proxy.close());
    adsum = await Adsum.launch({ folder, flags: ['--consul', proxy.url] });
    closers.push(() => adsum.stop());
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
    process.stdout.write(`\n${lines.join('\n')}\n`);
  });

  /** All that is served to one sidecar, and what it is made of. */
  const served = async () => [await adsum.get('/v1/mesh'), await adsum.get('/v1/proxies/s0-sidecar-proxy/config?node=n0')];
  const timed = async (what: string, work: () => Promise<unknown>) => {
    const [began, asked] = [performance.now(), proxy.asked.length];
    await work();
    lines.push(`${what.padEnd(48)} ${String(Math.round(performance.now() - began)).padStart(6)} ms, ${proxy.asked.length - asked} requests`);
  };

  it('serves nothing until everything was read, and then all of it', async () => {
    let first: unknown;
    await timed('start to the first mesh', async () => {
      first = await eventually(served);
    });
    // each watch once, the agent, the catalog, and an address for each name
    const paths = new Set(proxy.asked);
    expect(paths.size).toBeGreaterThanOrEqual(WATCHES + 2);
    expect(proxy.asked.length).toBeLessThanOrEqual(2 * WATCHES + 2 + 2 * SERVICES);
    const { services } = await adsum.get<{ services: { virtual_ips: string[]; instances: object[] }[] }>('/v1/mesh');
    expect(services).toHaveLength(SERVICES);
    for (const { virtual_ips, instances } of services) expect([virtual_ips.length, instances.length]).toEqual([1, 2]);
    expect((await adsum.readiness()).mesh).toBe('fresh');

    const before = proxy.asked.length;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    expect(await served()).toEqual(first);
    lines.push(`requests in ${LOOK_MS / 1000} quiet seconds: ${proxy.asked.length - before}`);
    // two for each watch in a minute, and one for each name
    expect(proxy.asked.length - before).toBeLessThanOrEqual(2 * WATCHES + SERVICES);
    expect(adsum.output).not.toContain('Consul is away');
  });

  it('changes arrive: an intention, a service, its health', async () => {
    const verdict = (wanted: string) =>
      eventually(async () => {
        const { verdict } = await adsum.get<{ verdict: string }>('/v1/intentions/check?source=s9&destination=s0');
        expect(verdict).toBe(wanted);
      });
    await verdict('deny');
    await consul.put('/v1/config', { Kind: 'service-intentions', Name: 's0', Sources: ['s1', 's2', 's9'].map((Name) => ({ Name, Action: 'allow' })) });
    await timed('an intention', () => verdict('allow'));
    const sidecar = {
      Kind: 'connect-proxy',
      Service: 'late-sidecar-proxy',
      Port: 21_000,
      Proxy: { DestinationServiceName: 'late', DestinationServiceID: 'late' },
    };
    await consul.put('/v1/catalog/register', { Node: 'n-late', Address: '10.9.9.9', Service: { Service: 'late', Port: 80 } });
    await consul.put('/v1/catalog/register', { Node: 'n-late', Address: '10.9.9.9', Service: sidecar });
    const late = async () => {
      const { services } = await adsum.get<{ services: { name: string; virtual_ips: string[]; instances: { health: string }[] }[] }>('/v1/mesh');
      return services.find(({ name }) => name === 'late');
    };
    await timed('a service with its address', () => eventually(async () => expect((await late())?.virtual_ips).toHaveLength(1)));
    const check = { Node: 'n-late', CheckID: 'c', Name: 'c', ServiceID: 'late', Status: 'critical' };
    await consul.put('/v1/catalog/register', { Node: 'n-late', Address: '10.9.9.9', SkipNodeUpdate: true, Check: check });
    await timed('its health', () => eventually(async () => expect((await late())?.instances[0]?.health).toBe('critical')));
    expect((await adsum.readiness()).mesh).toBe('fresh');
  });
});
