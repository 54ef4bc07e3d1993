import { expect, test } from 'vitest';
import { type AdmissionStatus, admitEverybody } from '../../../src/control-plane/admission.ts';
import { proxyStatuses } from '../../../src/control-plane/proxy-statuses.ts';
import type { StreamStatus } from '../../../src/server/stream-status.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';

const node = (name: string) => `{ name: ${name}, address: 10.0.0.1, services: [{ name: api, id: api, port: 80, connect: { sidecar_service: {} } }] }`;

function topologyOf(...nodes: string[]) {
  const { mesh } = parseMeshFiles([{ path: 'mesh.yaml', text: `nodes: [${nodes.map(node).join(', ')}]` }]);
  if (!mesh) throw new Error('no mesh');
  return buildTopology(mesh, { trustDomain: 'td.consul', virtualIps: new Map() });
}

const stream = (peer: string, nodeName?: string): StreamStatus => ({
  stream: 1,
  nodeId: 'api-sidecar-proxy',
  ...(nodeName ? { nodeName } : {}),
  peer,
  variant: 'delta',
  connectedAt: 0,
  known: true,
  types: [],
});

const WHICH = 'the bootstrap must say which';
const proxy = (nodeName: string | undefined, waitingFor?: string) => ({ id: 'api-sidecar-proxy', nodeName, waitingFor });

/** Each status as `node: state (reason) [peers of its streams, with what they wait for]`. */
function told(nodes: string[], served: ReturnType<typeof proxy>[], streams: StreamStatus[], admission: AdmissionStatus = admitEverybody): string[] {
  return proxyStatuses(topologyOf(...nodes), served, streams, [admission]).map(
    ({ node, state, reason, streams: own }) =>
      `${node ?? '?'}: ${state}${reason ? ` (${reason})` : ''} [${own.map(({ peer, reason: waits }) => peer + (waits ? ` ${waits}` : '')).join(', ')}]`,
  );
}

test('an ID on two nodes: the one that is served is connected, and who does not say its node stands for itself', () => {
  expect(told(['api1', 'api2'], [proxy(undefined, WHICH), proxy('api2')], [stream('a'), stream('b', 'api2')])).toEqual([
    'api1: disconnected []',
    'api2: connected [b]',
    `?: waiting (${WHICH}) [a ${WHICH}]`,
  ]);
});

test('an ID on one node needs no node name', () => {
  expect(told(['api1'], [proxy(undefined)], [stream('a')])).toEqual(['api1: connected [a]']);
});

test('a proxy with a stream that is served is connected, whatever its other streams wait for', () => {
  const held = [{ id: 'api-sidecar-proxy', nodeName: undefined, peer: 'b', reason: 'its token is checked' }];
  const admission = { ...admitEverybody, held: () => held };
  expect(told(['api1'], [proxy(undefined)], [stream('a'), stream('b')], admission)).toEqual(['api1: connected [a, b its token is checked]']);
  expect(told(['api1'], [], [stream('b')], admission)).toEqual(['api1: waiting (its token is checked) [b its token is checked]']);
});

test('streams of a proxy that nobody registered, and of another node, wait on their own', () => {
  expect(told(['api1'], [proxy('other', 'no proxy')], [stream('a', 'other')])).toEqual(['api1: disconnected []', 'other: waiting (no proxy) [a no proxy]']);
});
