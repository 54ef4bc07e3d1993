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

const upstream = fc.record(
  {
    destination_name: fc.constantFrom(...SERVICES, NOBODY),
    destination_type: fc.option(fc.constant('prepared_query'), { freq: 6 }).map((type) => type ?? 'service'),
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
  ipv6: fc.option(fc.constant(true), { freq: 5 }).map((v6) => v6 ?? false),
  /** On the machine of the instance before it. */
  shared: fc.option(fc.constant(true), { freq: 6 }).map((on) => on ?? false),
  tagged: fc.option(fc.constant(true), { freq: 5 }).map((is) => is ?? false),
  upstreams: fc.array(upstream, { maxLength: 2 }),
  exposed: fc.option(fc.constant({ paths: [{ path: '/health', local_path_port: 8080, listener_port: 21_500 }] }), { freq: 6, nil: undefined }),
});

type RandomInstance = typeof instance extends fc.Arbitrary<infer Value> ? Value : never;

const services = fc.array(fc.tuple(fc.constantFrom(...SERVICES), instance), { minLength: 1, maxLength: 6 });

/** All kinds of entries that shape a mesh, in any order; each name once per kind. */
function entriesOf({ chains }: { readonly chains: boolean }) {
  const one = fc.oneof(
    { arbitrary: intentions, weight: 4 },
    { arbitrary: serviceDefaults, weight: 3 },
    ...(chains ? [resolver, router, splitter] : []),
    destinations,
    proxyDefaults,
    meshEntry,
    terminatingGateway,
  );
  return fc
    .tuple(fc.array(one as fc.Arbitrary<{ kind: string; name?: string }>, { maxLength: 9 }), jwtProviders)
    .map(([entries, providers]) => [...new Map([...entries, ...providers].map((entry) => [`${entry.kind}/${entry.name ?? ''}`, entry])).values()]);
}

/** @param chains whether routers, splitters and resolvers are among the entries */
export function randomMesh({ chains = true }: { readonly chains?: boolean } = {}): fc.Arbitrary<RandomMesh> {
  return fc
    .record({
      policy: fc.constantFrom('allow' as const, 'deny' as const, 'deny' as const),
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
