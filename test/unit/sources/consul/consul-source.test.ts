import { describe, expect, it, onTestFinished } from 'vitest';
import type { Mesh } from '../../../../src/mesh/mesh.ts';
import { ManualClock } from '../../../../src/runtime/clock.ts';
import { silentLogger } from '../../../../src/runtime/logger.ts';
import { ConsulError } from '../../../../src/sources/consul/consul-client.ts';
import { startConsulSource } from '../../../../src/sources/consul/consul-source.ts';
import { api, FakeConsul, nodesWith } from './fake-consul.ts';

function setUp(consul = new FakeConsul()) {
  const clock = new ManualClock(1_000_000);
  const ending = new AbortController();
  const meshes: Mesh[] = [];
  const told: string[] = [];
  const { done } = startConsulSource({
    client: consul,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    signal: ending.signal,
    onMesh: (mesh) => void meshes.push(mesh),
    onAway: (reason) => void told.push(`away: ${reason}`),
    onBack: () => void told.push('back'),
  });
  onTestFinished(async () => {
    ending.abort();
    await done;
  });
  /** Lets that much time pass, in small steps, with all that follows from it. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(10);
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { consul, meshes, told, pass };
}

describe('a live Consul', () => {
  it('is served whole, once every query has answered', async () => {
    const consul = new FakeConsul();
    consul.silence('/config/jwt-provider');
    const { meshes, pass } = setUp(consul);
    await pass(500);
    expect(meshes).toEqual([]);
    consul.set('/config/jwt-provider', 3, []);
    await pass(500);
    expect(meshes).toMatchObject([
      { trustDomain: 'td.consul', defaultIntentionPolicy: 'deny', instances: [{ id: 'api' }], pinnedVirtualIps: new Map([['api', '240.0.0.1']]) },
    ]);
  });

  it('costs one read of the catalog for changes that come together, and none for entries and health', async () => {
    const { consul, meshes, pass } = setUp();
    await pass(500);
    expect(consul.count('/internal/ui/nodes')).toBe(1);
    consul.set('/internal/ui/nodes', 11, nodesWith({ ...api, Port: 1 }));
    consul.set('/catalog/services', 11, {});
    consul.set('/catalog/nodes', 11, []);
    await pass(500);
    expect(consul.count('/internal/ui/nodes')).toBe(2);
    consul.set('/config/service-intentions', 12, [{ Kind: 'service-intentions', Name: 'api', Sources: [{ Name: 'web', Action: 'allow' }], CreateIndex: 12 }]);
    await pass(200);
    consul.set('/health/state/any', 13, [{ Node: 'vm', CheckID: 'c', ServiceID: 'api', Status: 'critical' }]);
    await pass(200);
    expect(consul.count('/internal/ui/nodes')).toBe(2);
    expect(meshes).toHaveLength(4);
    expect(meshes.at(-1)).toMatchObject({ instances: [{ id: 'api', port: 1, health: 'critical' }] });
    expect(meshes.at(-1)?.configEntries.get('service-intentions', 'api')?.sources).toMatchObject([{ name: 'web' }]);
  });

  it('reads a virtual IP again when nothing is left of what held it', async () => {
    const { consul, meshes, pass } = setUp();
    await pass(500);
    const again = async (CreateIndex: number, index: number, address: string) => {
      consul.set('/discovery-chain/api', index, { Chain: { AutoVirtualIPs: [address] } });
      consul.set('/internal/ui/nodes', index, nodesWith({ ...api, Port: index, CreateIndex }));
      consul.set('/catalog/services', index, {});
      await pass(500);
      return meshes.at(-1)?.pinnedVirtualIps.get('api');
    };
    expect(await again(10, 20, '240.0.0.9')).toBe('240.0.0.1');
    expect(await again(21, 21, '240.0.0.9')).toBe('240.0.0.9');
  });

  it('finds manual virtual IPs in time, which nothing tells of', async () => {
    const { consul, meshes, pass } = setUp();
    await pass(500);
    consul.set('/discovery-chain/api', 10, { Chain: { AutoVirtualIPs: ['240.0.0.1'], ManualVirtualIPs: ['172.30.0.1'] } });
    await pass(130_000);
    expect(meshes.at(-1)?.manualVirtualIps).toEqual(new Map([['api', ['172.30.0.1']]]));
  });

  it('is no mesh where the token may see a part only', async () => {
    const consul = new FakeConsul();
    consul.set('/config/mesh', 3, [], { filteredByAcl: true });
    const { meshes, told, pass } = setUp(consul);
    await pass(4_000);
    expect(meshes).toEqual([]);
    expect(told).toEqual([expect.stringMatching(/^away: the token may not read all of \/config\/mesh/)]);
  });

  it('away: what was given stands; back: read again once, and given only if it differs', async () => {
    const { consul, meshes, told, pass } = setUp();
    await pass(500);
    consul.fail();
    await pass(2_500);
    expect(told).toEqual([]);
    await pass(20_000);
    expect(told).toEqual(['away: no Consul answers']);
    consul.asked.length = 0;
    await pass(60_000);
    // thirteen watches and the reader, each at most once in five seconds
    expect(consul.asked.length).toBeLessThan((14 * 60) / 5);
    consul.failing = false;
    consul.asked.length = 0;
    await pass(15_000);
    expect(told).toEqual(['away: no Consul answers', 'back']);
    expect([consul.count('/internal/ui/nodes') <= 2, consul.count('/config/mesh') <= 2, meshes.length]).toEqual([true, true, 1]);
  });
});

it('a chain that Consul cannot compile holds up nobody else for long', async () => {
  const consul = new FakeConsul();
  const request = consul.request.bind(consul);
  consul.request = (asked) =>
    asked.path === '/discovery-chain/broken' ? Promise.reject(new ConsulError('Consul answered 500', { status: 500 })) : request(asked);
  consul.set('/internal/ui/nodes', 10, nodesWith(api, { ...api, ID: 'broken', Service: 'broken' }));
  const { meshes, pass } = setUp(consul);
  await pass(1_000);
  expect(meshes).toEqual([]);
  await pass(12_000);
  expect(meshes.at(-1)).toMatchObject({ pinnedVirtualIps: new Map([['api', '240.0.0.1']]), problems: [{ code: 'virtual-ip-unreadable' }] });
});
