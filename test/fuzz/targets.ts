import fc from 'fast-check';
import { parse } from 'yaml';
import { buildCallerSans, buildResources } from '../../src/envoy/build-resources.ts';
import type { Mesh } from '../../src/mesh/mesh.ts';
import type { Problem } from '../../src/mesh/problem.ts';
import { configEntryExamples } from '../../src/mesh/schema/examples.ts';
import { parseConfigEntry } from '../../src/mesh/schema/parse-config-entry.ts';
import { failingChecks, parseChecks, parseNodes } from '../../src/sources/consul/catalog.ts';
import { ConfigEntryReader } from '../../src/sources/consul/config-entry-reader.ts';
import { ConsulMeshBuilder } from '../../src/sources/consul/consul-mesh-builder.ts';
import { parseCluster, parseRoots } from '../../src/sources/consul/consul-readings.ts';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../src/topology/build-topology.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { openChains } from '../property/open-chains.ts';
import { virtualIpsOf } from '../simulation/parse-mesh.ts';
import { mutated } from './mutate.ts';

/** Hostile input of one kind, and what must hold whatever it is. `check` throws where it does not. */
export interface Target {
  readonly input: fc.Arbitrary<unknown>;
  readonly check: (input: unknown) => void;
}

const ENTRIES: readonly unknown[] = Object.values(configEntryExamples).map((text) => parse(text));

const sidecar = (proxy: object = {}) => ({ sidecar_service: { proxy: { mode: 'transparent', ...proxy } } });
const MESHES: readonly unknown[] = [
  {
    datacenter: 'dc1',
    nodes: [
      {
        name: 'vm-web',
        address: '10.0.0.1',
        meta: { zone: 'a' },
        checks: [{ status: 'passing' }],
        services: [
          {
            name: 'web',
            port: 8080,
            connect: sidecar({ upstreams: [{ destination_name: 'api', local_bind_port: 5000, config: { protocol: 'http' } }], config: { protocol: 'http' } }),
          },
        ],
      },
      { name: 'vm-api', address: '10.0.0.2', services: [{ name: 'api', id: 'api-1', port: 9090, meta: { v: '1' }, connect: sidecar() }] },
    ],
    config_entries: [
      {
        kind: 'service-intentions',
        name: 'api',
        sources: [{ name: 'web', permissions: [{ action: 'allow', http: { path_prefix: '/', header: [{ name: 'x', exact: 'y' }] } }] }],
      },
      { kind: 'service-defaults', name: 'api', protocol: 'http' },
      { kind: 'service-resolver', name: 'api', subsets: { v1: { filter: 'Service.Meta.v == 1' } }, failover: { '*': { service: 'b' } } },
      { kind: 'service-splitter', name: 'api', splits: [{ weight: 100, service_subset: 'v1' }] },
    ],
    virtual_ips: { api: '240.0.0.1' },
    manual_virtual_ips: { api: ['172.30.0.1'] },
  },
  ...ENTRIES.map((entry) => ({
    nodes: [{ name: 'vm', address: '10.0.0.1', services: [{ name: 'api', port: 80, connect: sidecar() }] }],
    config_entries: [entry],
  })),
];

/** Pieces of text that mean something in YAML or JSON. */
const SCRAPS = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  "'",
  '\n',
  '  ',
  '\t',
  '- ',
  '&a ',
  '*a',
  '!!binary ',
  '!x ',
  '<<: ',
  '---\n',
  '|',
  '#',
  '\u0000',
  '\ud800',
  'é',
  '%TAG',
];

const textChange = fc.record({ at: fc.nat(), length: fc.nat({ max: 12 }), by: fc.constantFrom('', ...SCRAPS) });

const meshText = fc.tuple(mutated(MESHES), fc.array(textChange, { maxLength: 2 }), fc.nat({ max: 3 })).map(([value, changes, indent]) =>
  changes.reduce(
    (text, { at, length, by }) => {
      const from = at % (text.length + 1);
      return `${text.slice(0, from)}${by}${text.slice(from + length)}`;
    },
    JSON.stringify(value, null, indent) ?? '',
  ),
);

const meshFiles: Target = {
  input: meshText,
  check(input) {
    const text = String(input);
    const { mesh, problems } = parseMeshFiles([{ path: 'mesh.json', text }]);
    assertTold(problems);
    for (const { place } of problems) assert(place?.file === 'mesh.json', 'a problem without its file');
    assert((mesh === undefined) === problems.some(({ severity }) => severity === 'error'), 'a mesh in spite of errors, or neither');
    if (mesh) assertServed(mesh);
  },
};

const configEntries: Target = {
  input: mutated([...ENTRIES, ...ENTRIES.map(inCamelCase)]),
  check(input) {
    const { value, defects } = parseConfigEntry(input);
    assert((value === undefined) === defects.length > 0, 'an entry in spite of defects, or neither');
    for (const { code, message } of defects) assert(code !== '' && message !== '', 'a defect without words');
    const { entries, problems } = new ConfigEntryReader().read([input]);
    assertTold(problems);
    if (value && entries.length > 0) assert(entries[0]?.kind === value.kind, 'read as another kind');
  },
};

const CONSUL = {
  self: { Config: { Datacenter: 'dc1', Version: '1.22.7' }, DebugConfig: { DefaultIntentionPolicy: 'deny', ACLsEnabled: true } },
  roots: { TrustDomain: 'td.consul', Roots: [{ ID: 'r', Active: true, RootCert: 'PEM', NotBefore: '2026-01-01T00:00:00Z', NotAfter: '2036-01-01T00:00:00Z' }] },
  nodes: [
    {
      Node: 'vm',
      Address: '10.0.0.2',
      Meta: { zone: 'a' },
      TaggedAddresses: { lan: '10.0.0.2' },
      Services: [
        { ID: 'api', Service: 'api', Port: 9090, Tags: null, Meta: { v: '1' }, Weights: { Passing: 1, Warning: 1 }, CreateIndex: 10, ModifyIndex: 10 },
        {
          Kind: 'connect-proxy',
          ID: 'api-sidecar-proxy',
          Service: 'api-sidecar-proxy',
          Port: 21000,
          TaggedAddresses: { virtual: { Address: '172.20.0.1', Port: 80 }, 'consul-virtual': { Address: '240.0.0.1', Port: 80 } },
          Proxy: {
            DestinationServiceName: 'api',
            DestinationServiceID: 'api',
            LocalServiceAddress: '127.0.0.1',
            LocalServicePort: 9090,
            Mode: 'transparent',
            Config: { protocol: 'http' },
            Upstreams: [{ DestinationType: 'service', DestinationName: 'db', LocalBindPort: 5000, MeshGateway: {} }],
            MeshGateway: {},
            Expose: {},
          },
          CreateIndex: 11,
          ModifyIndex: 12,
        },
      ],
      Checks: [{ Node: 'vm', CheckID: 'c', ServiceID: 'api', Status: 'warning' }],
    },
  ],
  checks: [{ Node: 'vm', CheckID: 'c', ServiceID: 'api', Status: 'critical' }],
  entries: ENTRIES.map(inCamelCase),
  virtualIps: { api: { automatic: ['240.0.0.1'], manual: ['172.30.0.1'] } },
};

const consulAnswers: Target = {
  // Consul is written in Go, whose JSON holds no half characters.
  input: fc
    .tuple(mutated([CONSUL.nodes]), mutated([CONSUL.checks]), mutated([CONSUL.entries]), mutated([CONSUL.self]), mutated([CONSUL.roots]))
    .map(([nodes, checks, entries, self, roots]) => wellFormed({ nodes, checks, entries, self, roots })),
  check(input) {
    const {
      nodes: rawNodes,
      checks: rawChecks,
      entries: rawEntries,
      self,
      roots: rawRoots,
    } = input as Record<'nodes' | 'checks' | 'entries' | 'self' | 'roots', unknown>;
    const cluster = parseCluster(self) ?? parseCluster(CONSUL.self);
    const roots = parseRoots(rawRoots) ?? parseRoots(CONSUL.roots);
    const nodes = parseNodes(rawNodes) ?? [];
    const failing = parseChecks(rawChecks) ?? [];
    const builder = new ConsulMeshBuilder();
    const entriesRead = Array.isArray(rawEntries) ? rawEntries : [];
    const read = builder.read(nodes, [...failing, ...failingChecks(nodes)], entriesRead);
    assert(cluster !== undefined && roots !== undefined, 'what is sound was refused');
    const mesh = builder.build({ cluster, roots, ...read, virtualIps: new Map(Object.entries(CONSUL.virtualIps)) });
    assert(mesh !== undefined, 'no mesh');
    assertTold(mesh.problems);
    for (const entry of mesh.configEntries.ofKind('service-intentions')) assert(entry.sources.length > 0, 'an intention without sources, which denies nobody');
    assertServed(mesh);
    // The same again, as after a restart or a query that brought nothing.
    builder.read(nodes, failing, entriesRead);
  },
};

export const targets: Readonly<Record<string, Target>> = { 'mesh-files': meshFiles, 'config-entries': configEntries, 'consul-answers': consulAnswers };

const INTRUDER = { identity: undefined, method: 'GET', path: '/' };

/** Every sidecar can be configured, in bytes that Envoy's own protos take, and nobody gets in without a certificate. */
function assertServed(mesh: Mesh): void {
  const topology = buildTopology(mesh, { trustDomain: mesh.trustDomain ?? 'mesh.test', virtualIps: virtualIpsOf(mesh) });
  assertTold(topology.virtualAddressProblems());
  const permissive = mesh.configEntries.get('mesh', 'mesh')?.allow_enabling_permissive_mutual_tls === true;
  for (const instance of mesh.instances) {
    if (instance.kind !== 'connect-proxy' || !instance.proxy) continue;
    const view = resolveProxyView(topology, instance);
    const { resources, problems } = buildResources(view, { ipv6: false });
    assertTold(problems);
    const open = openChains(view, resources, INTRUDER, buildCallerSans(view));
    assert(permissive || open.length === 0, `open: ${open.join('; ')}`);
  }
}

function assertTold(problems: readonly Problem[]): void {
  for (const { code, message } of problems) assert(code !== '' && message !== '', 'a problem without words');
}

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function wellFormed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('\\ud800', '\\ufffd'));
}

function inCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inCamelCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()), inCamelCase(item)]),
  );
}
