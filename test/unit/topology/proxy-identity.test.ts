import { expect, test } from 'vitest';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { resolveProxyIdentity } from '../../../src/topology/proxy-identity.ts';

const TEXT = 'nodes: [{ name: vm, address: 10.0.0.1, services: [{ name: web, port: 80, connect: { sidecar_service: {} } }] }]';

test('a sidecar has the identity of its service and holds one leaf, its own; a service is no proxy', () => {
  const { mesh } = parseMeshFiles([{ path: 'mesh.yaml', text: TEXT }]);
  const identities = mesh?.instances.map((instance) => resolveProxyIdentity(instance, { trustDomain: 'td.consul', datacenter: 'dc1' }));
  expect(identities).toEqual([undefined, { service: 'web', spiffeId: 'spiffe://td.consul/ns/default/dc/dc1/svc/web', leaves: new Map([['leaf', 'web']]) }]);
});
