import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ResourceCache } from '../../src/cache/resource-cache.ts';
import { Configurations } from '../../src/control-plane/configurations.ts';
import type { Watch } from '../../src/query/query-store.ts';
import type { MeshFile } from '../../src/sources/mesh-file.ts';
import { MeshFileParser } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology, type MeshTopology } from '../../src/topology/build-topology.ts';
import type { ProxyView } from '../../src/topology/proxy-view.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { findProxies, type Topology } from '../../src/topology/topology.ts';

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

const FACTS = { trustDomain: 'td.consul', virtualIps: new Map(SERVICES.map((name, index) => [name, `240.0.0.${index + 1}`])) };

/** Loads one mesh after another, recomputes what each change touches, and compares with recomputing everything. */
function followChanges(meshes: readonly Pieces[]): void {
  const parser = new MeshFileParser();
  const configurations = new Configurations(new ResourceCache());
  let topology: MeshTopology | undefined;
  let watches: { readonly id: string; readonly watch: Watch<ProxyView | undefined>; view: ProxyView | undefined; told: boolean }[] = [];
  for (const pieces of meshes) {
    const { mesh } = parser.parse([...filesOf(pieces), { path: 'default.json', text: '{"datacenter":"dc1"}' }]);
    if (!mesh) continue;
    if (topology) topology.update(mesh, FACTS);
    else {
      const first = buildTopology(mesh, FACTS);
      topology = first;
      watches = PROXIES.map((id) => {
        const entry = {
          id,
          watch: first.store.watch(
            () => viewOf(first, id),
            () => void Object.assign(entry, { told: true }),
          ),
          view: undefined,
          told: true,
        };
        return entry;
      });
    }
    const afresh = buildTopology(mesh, FACTS);
    for (const entry of watches) {
      if (entry.told) entry.view = entry.watch.get();
      entry.told = false;
      expect(built(configurations, entry.view)).toEqual(built(new Configurations(new ResourceCache()), viewOf(afresh, entry.id)));
    }
  }
}

function viewOf(topology: Topology, id: string): ProxyView | undefined {
  const [proxy] = findProxies(topology, id);
  return proxy && resolveProxyView(topology, proxy);
}

/** What a view comes to: names and versions of all resources, and the problems. */
function built(configurations: Configurations, view: ProxyView | undefined): unknown {
  if (!view) return undefined;
  const { resources, problems } = configurations.of(view, { ipv6: true });
  return { problems, resources: Object.entries(resources).map(([type, byName]) => [type, [...byName.values()].map(({ name, version }) => [name, version])]) };
}

test('recomputing only what a change touches gives what recomputing everything gives', () => {
  fc.assert(fc.property(meshesOf(NAMES), followChanges), { numRuns: 40 });
});

test('so it does where keys of a user are named as fields of ours are', () => {
  fc.assert(fc.property(meshesOf(['web', 'api1', 'webApi', 'subsets'], { complete: true }), followChanges), { numRuns: 40 });
});

/** A mesh in which one service calls another, one hundred times over, and which proxies are watched. */
function largeMesh() {
  const pairs = Array.from({ length: 100 }, (_, n) => n);
  const file = (n: number, more: object = {}) => ({
    nodes: [
      { name: `vm-a${n}`, address: `10.1.0.${n + 1}`, services: [{ name: `a${n}`, port: 80, ...sidecar(more) }] },
      { name: `vm-b${n}`, address: `10.2.0.${n + 1}`, services: [{ name: `b${n}`, port: 80, ...sidecar() }] },
    ],
    config_entries: [{ kind: 'service-intentions', name: `b${n}`, sources: [{ name: `a${n}`, action: 'allow' }] }],
  });
  const parser = new MeshFileParser();
  const files = new Map(pairs.map((n) => [`${n}.json`, file(n) as object]));
  const load = () => {
    const { mesh } = parser.parse([...files].map(([path, content]) => ({ path, text: JSON.stringify(content) })));
    if (!mesh) throw new Error('no mesh');
    return mesh;
  };
  const virtualIps = new Map(pairs.flatMap((n) => [`a${n}`, `b${n}`]).map((name, index) => [name, `240.0.1.${index}`]));
  const topology = buildTopology(load(), { trustDomain: 'td.consul', virtualIps });
  const told = new Set<string>();
  const watches = pairs
    .flatMap((n) => [`a${n}-sidecar-proxy`, `b${n}-sidecar-proxy`])
    .map((id) => ({
      id,
      watch: topology.store.watch(
        () => viewOf(topology, id),
        () => void told.add(id),
      ),
    }));
  for (const { watch } of watches) watch.get();
  /** Puts a file in place of another (undefined: takes it away), and tells whose views differ and how many values were worked out. */
  const change = (path: string, content: object | undefined) => {
    if (content) files.set(path, content);
    else files.delete(path);
    const before = new Map(watches.map(({ id, watch }) => [id, watch.get()]));
    const { computed } = topology.store.counts;
    told.clear();
    topology.update(load(), { trustDomain: 'td.consul', virtualIps });
    for (const { id, watch } of watches) if (told.has(id)) watch.get();
    const affected = watches.filter(({ id, watch }) => watch.get() !== before.get(id)).map(({ id }) => id);
    return { affected, computed: topology.store.counts.computed - computed };
  };
  return { change, file };
}

test('a change costs the values that it is about, whatever the size of the mesh', () => {
  const { change, file } = largeMesh();
  const moved = change('7.json', { description: 'the same, with other positions', ...file(7) });
  expect(moved).toEqual({ affected: [], computed: 0 });

  const setting = change('7.json', file(7, { config: { local_connect_timeout_ms: 3000 } }));
  expect(setting.affected).toEqual(['a7-sidecar-proxy']);
  expect(setting.computed).toBeLessThan(20);

  const endpoint = change('more.json', node('vm-more', '10.3.0.1', { name: 'b7', id: 'b7-more', port: 80, ...sidecar() }));
  expect(endpoint.affected).toEqual(['a7-sidecar-proxy']);
  expect(endpoint.computed).toBeLessThan(30);

  const gone = change('more.json', undefined);
  expect(gone.affected).toEqual(['a7-sidecar-proxy']);
  expect(gone.computed).toBeLessThan(30);

  const unrelated = change('more.json', node('vm-more', '10.3.0.1', { name: 'unrelated', port: 80, ...sidecar() }));
  expect(unrelated.affected).toEqual([]);
  expect(unrelated.computed).toBeLessThan(10);

  const { config_entries: _, ...withoutIntention } = file(7);
  const denied = change('7.json', withoutIntention);
  expect(denied.affected).toEqual(['a7-sidecar-proxy', 'b7-sidecar-proxy']);
  expect(denied.computed).toBeLessThan(40);
});
