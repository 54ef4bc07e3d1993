import { expect, test } from 'vitest';
import type { Snapshot } from '../../../src/cache/resource.ts';
import { ResourceCache } from '../../../src/cache/resource-cache.ts';
import { decodeResources } from '../../../src/control-plane/decoded-resources.ts';
import { Reconciler } from '../../../src/control-plane/reconciler.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';

const WEB = '{ name: vm, address: 10.0.0.1, services: [{ name: web, port: 80, connect: { sidecar_service: {} } }] }';
const OTHER = '{ name: vm2, address: 10.0.0.2, services: [{ name: other, port: 80 }] }';

const API = '{ name: vm3, address: 10.0.0.3, services: [{ name: api, port: 80, connect: { sidecar_service: {} } }] }';

function topologyOf(...parts: string[]) {
  const nodes = parts.filter((part) => part.startsWith('{'));
  const others = parts.filter((part) => !part.startsWith('{'));
  const { mesh } = parseMeshFiles([{ path: 'mesh.yaml', text: [`nodes: [${nodes.join(', ')}]`, ...others].join('\n') }]);
  if (!mesh) throw new Error('no mesh');
  return buildTopology(mesh, { trustDomain: 'td.consul', virtualIps: new Map() });
}

function start() {
  const identities = { roots: () => ['root'], leaf: () => undefined, use: () => {}, release: () => {} };
  const reconciler = new Reconciler({ cache: new ResourceCache(), identities, clock: new ManualClock(), logger: silentLogger, metrics: createMetrics() });
  const updates: Snapshot[] = [];
  const { proxy } = reconciler.attach({ id: 'web-sidecar-proxy', traits: { ipv6: false } }, { update: (snapshot) => void updates.push(snapshot) });
  const settled = async () => {
    while (!reconciler.idle) await new Promise((turn) => setImmediate(turn));
  };
  return { reconciler, proxy, updates, settled };
}

test('a proxy that connects before the first mesh is there waits, and is served when it comes', async () => {
  const { reconciler, proxy, updates, settled } = start();
  await settled();
  expect(proxy.waitingFor).toBe('the mesh is not loaded yet');
  reconciler.setTopology(topologyOf(WEB));
  await settled();
  expect(proxy.waitingFor).toBeUndefined();
  expect(updates).toHaveLength(1);
});

test('a proxy nobody knows is served as soon as it is registered, and keeps what it has when its registration vanishes', async () => {
  const { reconciler, proxy, updates, settled } = start();
  reconciler.setTopology(topologyOf(OTHER));
  await settled();
  expect(proxy.waitingFor).toMatch(/no proxy 'web-sidecar-proxy' is registered/);
  reconciler.setTopology(topologyOf(OTHER, WEB));
  await settled();
  expect(updates).toHaveLength(1);
  reconciler.setTopology(topologyOf(OTHER));
  await settled();
  expect(proxy.waitingFor).toMatch(/no proxy/);
  expect(updates).toHaveLength(1);
});

test('a proxy holds what it was given; each resource knows the part it was made from, and the store what that was derived from', async () => {
  const { reconciler, proxy, settled } = start();
  const nodes = [WEB.replace('sidecar_service: {}', 'sidecar_service: { proxy: { mode: transparent } }'), API];
  const topology = topologyOf(...nodes, 'config_entries: [{ kind: service-intentions, name: api, sources: [{ name: web, action: allow }] }]');
  reconciler.setTopology(topology);
  await settled();
  const cluster = [...(proxy.snapshot?.cluster.values() ?? [])].find(({ name }) => name.startsWith('api.'));
  const part = cluster && proxy.configuration?.madeFrom.get(cluster);
  expect(part).toMatchObject({ name: 'api', service: 'api' });
  const inputs = proxy.watch?.inputs(part).map(({ name, args }) => `${name}: ${args.join()}`) ?? [];
  expect(inputs).toContain('config entry: service-resolver/api');
  expect(inputs).not.toContain('config entry: service-resolver/web');
  const held = decodeResources(proxy.snapshot ?? {}, ['leaf']);
  expect(held.clusters).toContainEqual(expect.objectContaining({ name: cluster?.name, type: 'EDS' }));
  expect(held.secrets).toMatchObject([{ name: 'roots' }, { name: 'callers' }]);
});
