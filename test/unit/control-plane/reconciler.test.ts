import { expect, test } from 'vitest';
import type { Snapshot } from '../../../src/cache/resource.ts';
import { ResourceCache } from '../../../src/cache/resource-cache.ts';
import { Reconciler } from '../../../src/control-plane/reconciler.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';

const WEB = '{ name: vm, address: 10.0.0.1, services: [{ name: web, port: 80, connect: { sidecar_service: {} } }] }';
const OTHER = '{ name: vm2, address: 10.0.0.2, services: [{ name: other, port: 80 }] }';

function topologyOf(...nodes: string[]) {
  const { mesh } = parseMeshFiles([{ path: 'mesh.yaml', text: `nodes: [${nodes.join(', ')}]` }]);
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
