import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Dependents } from '../../src/control-plane/dependents.ts';
import { buildResources } from '../../src/envoy/build-resources.ts';
import type { MeshFile } from '../../src/sources/mesh-file.ts';
import { MeshFileParser } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../src/topology/build-topology.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { findProxies, type Topology } from '../../src/topology/topology.ts';
import { trackReads } from '../../src/topology/tracked-topology.ts';

/** Everything that can be there or not, each in a file of its own as a user would keep it. Many of them touch each other. */
const sidecar = (more: object = {}) => ({ connect: { sidecar_service: { proxy: { mode: 'transparent', ...more } } } });
const node = (name: string, address: string, ...services: object[]) => ({ nodes: [{ name, address, services }] });
const entry = (kind: string, name: string, fields: object) => ({ config_entries: [{ kind, name, ...fields }] });
const PIECES: Record<string, object> = {
  web: node('vm-web', '10.0.0.1', { name: 'web', port: 8080, ...sidecar() }),
  explicit: node('vm-batch', '10.0.0.9', { name: 'batch', port: 1, ...sidecar({ upstreams: [{ destination_name: 'api', local_bind_port: 5000 }] }) }),
  api1: node('vm-api1', '10.0.0.2', { name: 'api', id: 'api1', port: 9090, meta: { version: 'v1' }, ...sidecar() }),
  api2: node('vm-api2', '10.0.0.3', {
    name: 'api',
    id: 'api2',
    port: 9090,
    meta: { version: 'v2' },
    checks: [{ name: 'c', status: 'critical' }],
    ...sidecar(),
  }),
  db: node('vm-db', '10.0.0.4', { name: 'db', port: 5432, ...sidecar({ transparent_proxy: { dialed_directly: true } }) }),
  dbToo: node('vm-db', '10.0.0.4', { name: 'db2', port: 5433, ...sidecar({ transparent_proxy: { dialed_directly: true } }) }),
  cache: node('vm-cache', '10.0.0.5', {
    name: 'cache',
    port: 6379,
    connect: { sidecar_service: { tagged_addresses: { virtual: { address: '172.20.0.5', port: 1 } }, proxy: { mode: 'transparent' } } },
  }),
  gateway: node('vm-gw', '10.0.0.6', { name: 'gw', kind: 'terminating-gateway', port: 8443 }),
  links: entry('terminating-gateway', 'gw', { services: [{ name: '*' }] }),
  legacy: node('vm-legacy', '10.0.0.7', { name: 'legacy', port: 80 }),
  webApi: entry('service-intentions', 'api', { sources: [{ name: 'web', action: 'allow' }] }),
  anyDb: entry('service-intentions', 'db', { sources: [{ name: '*', action: 'allow' }] }),
  anyAny: entry('service-intentions', '*', { sources: [{ name: '*', action: 'allow' }] }),
  l7: entry('service-intentions', 'cache', { sources: [{ name: 'web', permissions: [{ action: 'allow', http: { path_prefix: '/a' } }] }] }),
  http: entry('service-defaults', 'api', { protocol: 'http' }),
  cacheHttp: entry('service-defaults', 'cache', { protocol: 'http', upstream_config: { defaults: { connect_timeout_ms: 3000 } } }),
  allHttp: entry('proxy-defaults', 'global', { config: { protocol: 'http', local_connect_timeout_ms: 4000 } }),
  subsets: entry('service-resolver', 'api', {
    default_subset: 'v1',
    subsets: { v1: { filter: 'Service.Meta.version == v1' }, v2: { filter: 'Service.Meta.version == v2' } },
  }),
  redirect: entry('service-resolver', 'old', { redirect: { service: 'api' } }),
  webOld: entry('service-intentions', 'old', { sources: [{ name: 'web', action: 'allow' }] }),
  failover: entry('service-resolver', 'cache', { failover: { '*': { service: 'db' } } }),
  meshOnly: entry('mesh', 'mesh', { transparent_proxy: { mesh_destinations_only: true } }),
  egress: entry('service-defaults', 'outside', { protocol: 'tcp', destination: { addresses: ['198.51.100.7'], port: 443 } }),
  webEgress: entry('service-intentions', 'outside', { sources: [{ name: 'web', action: 'allow' }] }),
  // Claims what cache or api have, and so takes it from the first and not from the second.
  thief: node('vm-thief', '10.0.0.8', {
    name: 'thief',
    port: 1,
    connect: { sidecar_service: { tagged_addresses: { virtual: { address: '172.20.0.5', port: 1 } }, proxy: { mode: 'transparent' } } },
  }),
  otherThief: node('vm-thief2', '10.0.0.10', {
    name: 'thief2',
    port: 1,
    connect: { sidecar_service: { tagged_addresses: { virtual: { address: '172.30.0.1', port: 1 } }, proxy: { mode: 'transparent' } } },
  }),
  otherCase: entry('service-intentions', 'LEGACY', { sources: [{ name: 'WEB', action: 'allow' }] }),
  otherSpelling: node('vm-api3', '10.0.0.11', { name: 'Legacy', id: 'legacy2', port: 9090, ...sidecar() }),
  manual: { manual_virtual_ips: { api: ['172.30.0.1'] } },
};
const NAMES = Object.keys(PIECES);

/** Keys of a user's own, some of them named as fields of ours. */
const KEYS = ['place', 'within', 'version'];

/** Others under the same name: a change of what is there, not of whether it is there. */
const VARIANTS: Record<string, readonly object[]> = {
  api1: KEYS.flatMap((key) => ['red', 'blue'].map((value) => apiWithMeta({ [key]: value }))),
  webApi: [entry('service-intentions', 'api', { sources: [{ name: '*', action: 'deny' }] })],
  subsets: KEYS.map((key) => entry('service-resolver', 'api', { default_subset: 'red', subsets: { red: { filter: `Service.Meta.${key} == red` } } })),
};

function apiWithMeta(meta: Record<string, string>): object {
  return node('vm-api1', '10.0.0.2', { name: 'api', id: 'api1', port: 9090, meta, ...sidecar() });
}

/** Which pieces are there, each as it stands in PIECES (0) or as one of its variants, below so many empty lines. */
type Pieces = ReadonlyMap<string, { readonly form: number; readonly emptyLines: number }>;

/** Meshes of these pieces, each but the first made of the one before by changing, adding or deleting one or two pieces. */
function meshesOf(names: readonly string[], { complete = false } = {}): fc.Arbitrary<Pieces[]> {
  const piece = fc.record({
    name: fc.constantFrom(...names),
    form: fc.nat(20),
    emptyLines: fc.constantFrom(0, 0, 0, 2),
    present: fc.constantFrom(true, true, complete),
  });
  const start = complete ? fc.constant([...names]) : fc.subarray([...names]);
  return fc.tuple(start, fc.array(fc.array(piece, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 12 })).map(([first, edits]) => {
    const meshes: Pieces[] = [new Map(first.map((name) => [name, { form: 0, emptyLines: 0 }]))];
    for (const edit of edits) {
      const next = new Map(meshes.at(-1));
      for (const { name, present, ...one } of edit) {
        if (present) next.set(name, one);
        else next.delete(name);
      }
      meshes.push(next);
    }
    return meshes;
  });
}

function filesOf(pieces: Pieces): MeshFile[] {
  return [...pieces].map(([name, { form, emptyLines }]) => {
    const forms = [PIECES[name], ...(VARIANTS[name] ?? [])];
    return { path: `${name}.json`, text: '\n'.repeat(emptyLines) + JSON.stringify(forms[form % forms.length]) };
  });
}

const SERVICES = ['web', 'api', 'db', 'db2', 'cache', 'old', 'batch', 'outside', 'legacy'];
const PROXIES = ['web', 'api1', 'api2', 'db', 'db2', 'cache', 'batch'].map((name) => `${name}-sidecar-proxy`);

/** Loads one mesh after another, recomputes what each change touches, and compares with recomputing everything. */
function followChanges(meshes: readonly Pieces[]): void {
  const parser = new MeshFileParser();
  const dependents = new Dependents<string>();
  const kept = new Map<string, string>();
  for (const pieces of meshes) {
    const { mesh } = parser.parse([...filesOf(pieces), { path: 'default.json', text: '{"datacenter":"dc1"}' }]);
    if (!mesh) continue;
    const topology = buildTopology(mesh, { trustDomain: 'td.consul', virtualIps: new Map(SERVICES.map((name, index) => [name, `240.0.0.${index + 1}`])) });
    for (const id of dependents.takeTouchedBy(topology)) kept.delete(id);
    for (const id of PROXIES) {
      if (!kept.has(id)) {
        const { topology: tracked, reads } = trackReads(topology);
        kept.set(id, configuration(tracked, id));
        dependents.set(id, reads);
      }
      expect(kept.get(id)).toEqual(configuration(topology, id));
    }
  }
}

test('recomputing only what a change touches gives what recomputing everything gives', () => {
  fc.assert(fc.property(meshesOf(NAMES), followChanges), { numRuns: 40 });
});

test('so it does where keys of a user are named as fields of ours are', () => {
  fc.assert(fc.property(meshesOf(['web', 'api1', 'webApi', 'subsets'], { complete: true }), followChanges), { numRuns: 40 });
});

test('a change that does not concern a proxy does not touch it', () => {
  const parser = new MeshFileParser();
  const dependents = new Dependents<string>();
  const load = (...present: string[]) => {
    const { mesh } = parser.parse(present.map((name) => ({ path: name, text: JSON.stringify(PIECES[name]) })));
    if (!mesh) throw new Error('no mesh');
    return buildTopology(mesh, { trustDomain: 'td.consul', virtualIps: new Map([['api', '240.0.0.1']]) });
  };
  const { topology, reads } = trackReads(load('web', 'api1', 'webApi'));
  configuration(topology, 'web-sidecar-proxy');
  dependents.set('web', reads);
  expect([...dependents.takeTouchedBy(load('web', 'api1', 'webApi', 'cache', 'legacy', 'l7', 'cacheHttp'))]).toEqual(['web']); // cache has a virtual address of its own: refused from now on
  const again = trackReads(load('web', 'api1', 'webApi'));
  configuration(again.topology, 'web-sidecar-proxy');
  dependents.set('web', again.reads);
  expect([...dependents.takeTouchedBy(load('web', 'api1', 'webApi', 'legacy', 'l7', 'explicit', 'subsets'))]).toEqual(['web']); // subsets of api
  const last = trackReads(load('web', 'api1', 'webApi'));
  configuration(last.topology, 'web-sidecar-proxy');
  dependents.set('web', last.reads);
  expect([...dependents.takeTouchedBy(load('web', 'api1', 'webApi', 'legacy', 'l7', 'explicit', 'cacheHttp', 'failover'))]).toEqual([]);
});

function configuration(topology: Topology, id: string): string {
  const [proxy] = findProxies(topology, id);
  return proxy ? JSON.stringify(buildResources(resolveProxyView(topology, proxy), { ipv6: true })) : 'not registered';
}
