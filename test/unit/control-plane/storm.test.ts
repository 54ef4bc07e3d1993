import { expect, test } from 'vitest';
import { ResourceCache } from '../../../src/cache/resource-cache.ts';
import { Reconciler } from '../../../src/control-plane/reconciler.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { FairQueue } from '../../../src/runtime/fair-queue.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';

const SIDECARS = 250;

test('of many proxies that connect together the first can be answered while most still wait, and the process does other things meanwhile', async () => {
  const nodes = Array.from({ length: SIDECARS }, (_, i) => ({
    name: `vm${i}`,
    address: `10.0.${i >> 8}.${i & 255}`,
    services: [{ name: `s${i}`, port: 80, connect: { sidecar_service: {} } }],
  }));
  const parsed = parseMeshFiles([{ path: 'mesh.json', text: JSON.stringify({ nodes }) }]);
  if (!parsed.mesh) throw new Error('no mesh');
  const identities = { roots: () => ['root'], leaf: () => undefined, use: () => {}, release: () => {} };
  const reconciler = new Reconciler({ cache: new ResourceCache(), identities, clock: new ManualClock(), logger: silentLogger, metrics: createMetrics() });
  reconciler.setTopology(buildTopology(parsed.mesh, { trustDomain: 'td.consul', virtualIps: new Map() }));

  const waitingAtAnswer: number[] = [];
  const turns = new FairQueue<() => void>({ work: (turn) => turn() });
  // as the message handlers of one turn of the event loop do
  for (let i = 0; i < SIDECARS; i++) {
    const answer = () => void waitingAtAnswer.push(reconciler.waiting);
    reconciler.attach({ id: `s${i}-sidecar-proxy`, traits: { ipv6: false } }, { update: () => turns.add(answer) });
  }
  expect(waitingAtAnswer).toEqual([]);
  expect(reconciler.waiting).toBe(SIDECARS);
  let others = 0;
  while (waitingAtAnswer.length < SIDECARS) {
    await new Promise((resolve) => setImmediate(resolve));
    others++;
  }
  expect(waitingAtAnswer[0]).toBeGreaterThan(SIDECARS / 2);
  expect(others).toBeGreaterThan(3);
});
