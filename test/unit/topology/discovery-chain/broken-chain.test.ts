import { expect, test } from 'vitest';
import { buildResources } from '../../../../src/envoy/build-resources.ts';
import { parseMeshFiles } from '../../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../../src/topology/build-topology.ts';
import { resolveProxyView } from '../../../../src/topology/resolve-proxy-view.ts';
import { findProxies } from '../../../../src/topology/topology.ts';

const service = (name: string, node: string) => ({
  name: node,
  address: '10.0.0.1',
  services: [{ name, port: 8080, connect: { sidecar_service: { proxy: { mode: 'transparent' } } } }],
});

/** api splits into a service that speaks another protocol; db is in order. */
const MESH = {
  nodes: [service('web', 'vm-web'), service('api', 'vm-api'), service('db', 'vm-db')],
  config_entries: [
    { kind: 'service-defaults', name: 'api', protocol: 'http' },
    { kind: 'service-splitter', name: 'api', splits: [{ weight: 50 }, { weight: 50, service: 'db' }] },
    ...['api', 'db'].map((name) => ({ kind: 'service-intentions', name, sources: [{ name: 'web', action: 'allow' }] })),
  ],
};

test('an upstream whose chain is broken is refused at its virtual address; its neighbours work', () => {
  const { mesh } = parseMeshFiles([{ path: 'mesh.json', text: JSON.stringify(MESH) }]);
  if (!mesh) throw new Error('no mesh');
  const virtualIps = new Map([
    ['api', '240.0.0.1'],
    ['db', '240.0.0.2'],
  ]);
  const topology = buildTopology(mesh, { trustDomain: 'td.consul', virtualIps });
  const [web] = findProxies(topology, 'web-sidecar-proxy');
  if (!web) throw new Error('no proxy');
  const view = resolveProxyView(topology, web);
  expect(view.upstreams.map(({ name }) => name)).toEqual(['db']);
  expect(view.problems).toMatchObject([{ code: 'chain-protocol-mismatch', severity: 'error' }]);

  const outbound = JSON.stringify(buildResources(view, { ipv6: false }).resources.find(({ name }) => name.startsWith('outbound_listener')));
  expect(outbound).not.toContain('240.0.0.1');
  expect(outbound).toContain('240.0.0.2');
  // All virtual addresses that have no chain of their own.
  expect(outbound).toMatch(/"address_prefix":"240\.0\.0\.0","prefix_len":4.*"cluster":"denied"/);
});
