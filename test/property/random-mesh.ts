import fc from 'fast-check';
import {
  destinations,
  intentions,
  jwtProviders,
  meshEntry,
  NOBODY,
  proxyDefaults,
  resolver,
  router,
  SERVICES,
  SUBSETS,
  serviceDefaults,
  splitter,
  terminatingGateway,
} from './random-entries.ts';

const SERVICE_NAMES: readonly string[] = SERVICES;

/** A mesh file as data. Every object in it is sound, the whole need not be: build it with `parseUncheckedMesh`. */
export interface RandomMesh {
  readonly default_intention_policy: 'allow' | 'deny';
  readonly nodes: readonly { readonly name: string }[];
  readonly config_entries: readonly { readonly kind: string; readonly name?: string }[];
  readonly manual_virtual_ips: Readonly<Record<string, readonly string[]>>;
}

const rarely = fc.oneof({ arbitrary: fc.constant(true), weight: 1 }, { arbitrary: fc.constant(false), weight: 6 });

const upstream = fc.record(
  {
    destination_name: fc.constantFrom(...SERVICES, NOBODY),
    destination_type: rarely.map((query) => (query ? 'prepared_query' : 'service')),
    datacenter: fc.constantFrom('dc1', 'dc2'),
    config: fc.record({ connect_timeout_ms: fc.constant(800), protocol: fc.constantFrom('tcp', 'http') }, { requiredKeys: [] }),
  },
  { requiredKeys: ['destination_name'] },
);

const instance = fc.record({
  kind: fc.constantFrom('transparent', 'transparent', 'transparent', 'transparent', 'headless', 'headless', 'direct', 'default', 'native', 'none'),
  version: fc.constantFrom('v1', 'v2'),
  health: fc.constantFrom('passing', 'passing', 'passing', 'warning', 'critical'),
  weight: fc.constantFrom(1, 1, 5),
  ipv6: rarely,
  /** On the machine of the instance before it. */
  shared: rarely,
  tagged: rarely,
  upstreams: fc.array(upstream, { maxLength: 2 }),
  exposed: rarely.map((exposed) => (exposed ? { paths: [{ path: '/health', local_path_port: 8080, listener_port: 21_500 }] } : undefined)),
});

type RandomInstance = typeof instance extends fc.Arbitrary<infer Value> ? Value : never;

const services = fc.array(fc.tuple(fc.constantFrom(...SERVICES), instance), { minLength: 2, maxLength: 6, size: 'max' });

type Entry = RandomMesh['config_entries'][number];

/** All kinds of entries that shape a mesh, in any order; each name once per kind. */
function entriesOf({ chains }: { readonly chains: boolean }): fc.Arbitrary<readonly Entry[]> {
  const one = fc.oneof(
    { arbitrary: intentions, weight: 12 },
    { arbitrary: serviceDefaults, weight: 6 },
    ...(chains ? [resolver, router, splitter].map((arbitrary) => ({ arbitrary, weight: 5 })) : []),
    { arbitrary: proxyDefaults, weight: 4 },
    { arbitrary: meshEntry, weight: 2 },
    { arbitrary: destinations, weight: 2 },
    { arbitrary: terminatingGateway, weight: 1 },
  );
  return fc
    .record({ entries: fc.array(one as fc.Arbitrary<Entry>, { maxLength: 12, size: 'max' }), providers: jwtProviders, sound: fc.boolean() })
    .map(({ entries, providers, sound }) => {
      const all = [...entries, ...providers, ...(sound && chains ? subsetsOfAll : [])];
      const distinct = [...new Map(all.reverse().map((entry) => [`${entry.kind}/${entry.name ?? ''}`, entry])).values()];
      return sound ? distinct.map(speakingHttp) : distinct;
    });
}

/** Few routers and splitters would fit together by chance: in half of the meshes everybody speaks HTTP and has subsets. */
function speakingHttp(entry: Entry): Entry {
  if (entry.kind === 'proxy-defaults') return { ...entry, config: { protocol: 'http' } } as Entry;
  return entry.kind === 'service-defaults' && !('destination' in entry) ? ({ ...entry, protocol: 'http' } as Entry) : entry;
}

const subsetsOfAll: readonly Entry[] = [
  { kind: 'proxy-defaults', name: 'global' },
  ...[...SERVICES, NOBODY].map((name) => ({ kind: 'service-resolver', name, subsets: SUBSETS })),
];

/** @param chains whether routers, splitters and resolvers are among the entries */
export function randomMesh({ chains = true }: { readonly chains?: boolean } = {}): fc.Arbitrary<RandomMesh> {
  return fc
    .record({
      policy: fc.constantFrom('allow' as const, 'deny' as const),
      services,
      manual: fc.dictionary(fc.constantFrom(...SERVICES), fc.boolean(), { maxKeys: 2, noNullPrototype: true }),
      entries: entriesOf({ chains }),
    })
    .map(({ policy, services: list, manual, entries }) => ({
      default_intention_policy: policy,
      nodes: nodesOf(list, entries),
      config_entries: entries,
      manual_virtual_ips: Object.fromEntries(Object.entries(manual).map(([name, v6]) => [name, [manualAddress(name, v6)]])),
    }));
}

function manualAddress(name: string, v6: boolean): string {
  const index = SERVICE_NAMES.indexOf(name) + 1;
  return v6 ? `fd66::${index}` : `172.30.0.${index}`;
}

function nodesOf(list: readonly (readonly [string, RandomInstance])[], entries: readonly { kind: string }[]): RandomMesh['nodes'] {
  const nodes: { name: string; address: string; services: unknown[] }[] = [];
  for (const [index, [name, one]] of list.entries()) {
    const before = nodes.at(-1);
    const service = serviceOf(name, index, one);
    if (one.shared && before) before.services.push(service);
    else nodes.push({ name: `vm-${index}`, address: one.ipv6 ? `fd00::${index + 1}` : `10.0.0.${index + 1}`, services: [service] });
  }
  if (!entries.some(({ kind }) => kind === 'terminating-gateway')) return nodes;
  return [...nodes, { name: 'vm-egress', address: '10.0.9.9', services: [{ name: 'egress', kind: 'terminating-gateway', port: 8443 }] }];
}

function serviceOf(name: string, index: number, one: RandomInstance): unknown {
  const virtual = { address: `172.31.0.${SERVICE_NAMES.indexOf(name) + 1}`, port: 80 };
  const definition = {
    name,
    id: `${name}-${index}`,
    port: 8080 + index,
    meta: { version: one.version },
    checks: [{ name: 'health', status: one.health }],
  };
  if (one.kind === 'none') return definition;
  if (one.kind === 'native') return { ...definition, connect: { native: true } };
  const mode = one.kind === 'default' ? {} : { mode: one.kind === 'direct' ? 'direct' : 'transparent' };
  const upstreams = one.upstreams.map((explicit, port) => ({ ...explicit, local_bind_port: 5000 + 10 * index + port }));
  const sidecar = {
    weights: { passing: one.weight, warning: 1 },
    ...(one.tagged && { tagged_addresses: { virtual } }),
    proxy: {
      ...mode,
      upstreams,
      ...(one.kind === 'headless' && { transparent_proxy: { dialed_directly: true } }),
      ...(one.exposed && { expose: one.exposed }),
    },
  };
  return { ...definition, connect: { sidecar_service: sidecar } };
}
