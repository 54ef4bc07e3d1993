import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResourceCache } from '../../src/cache/resource-cache.ts';
import type { ConfigEntries } from '../../src/mesh/mesh.ts';
import type { envoy_config_listener_v3_FilterChain as FilterChain } from '../../src/proto/generated/types.ts';
import { configOf, findConfig } from '../simulation/any.ts';
import { parseUncheckedMesh, virtualIpsOf } from '../simulation/parse-mesh.ts';
import type { Sidecar } from '../simulation/sidecar.ts';
import { Simulation } from '../simulation/simulate.ts';
import { type RandomMesh, randomMesh } from './random-mesh.ts';

/** What holds for the resources of every sidecar of every mesh, however odd. `PROPERTY_RUNS=5000` looks longer. */

const RUNS = Number(process.env.PROPERTY_RUNS ?? 40);

function simulationOf(file: RandomMesh, earlier?: ReadonlyMap<string, string>): Simulation {
  const mesh = parseUncheckedMesh(file);
  return new Simulation(mesh, virtualIpsOf(mesh, earlier));
}

describe('every sidecar of a random mesh', () => {
  test('is given resources whose references lead somewhere', () => {
    fc.assert(
      fc.property(randomMesh(), (file) => {
        for (const sidecar of simulationOf(file).sidecars) for (const { kind, name } of referencesOf(sidecar)) expect(names(sidecar, kind)).toContain(name);
      }),
      { numRuns: RUNS },
    );
  });

  test('has listeners no two chains of which match the same', () => {
    fc.assert(
      fc.property(randomMesh(), (file) => {
        for (const { listeners } of simulationOf(file).sidecars) {
          for (const { filter_chains: chains = [] } of listeners) {
            const claims = chains.flatMap(claimsOf);
            expect(new Set(claims).size).toBe(claims.length);
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('guards its application: mutual TLS and authorization on every chain from outside, but for what is exposed on purpose', () => {
    fc.assert(
      fc.property(randomMesh(), (file) => {
        const { sidecars, mesh } = simulationOf(file);
        for (const sidecar of sidecars) {
          const chains = sidecar.publicListener?.filter_chains ?? [];
          expect(chains.length).toBeGreaterThan(0);
          const guarded = chains.filter(isGuarded);
          expect(chains.length - guarded.length).toBe(isPermissive(mesh.configEntries, sidecar.service) ? 1 : 0);
          expect(sidecar.publicListener?.default_filter_chain).toBeUndefined();
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('equal meshes', () => {
  /** Every resource of every sidecar as the bytes that go over the wire: equal bytes are one object. */
  function bytesOf(cache: ResourceCache, { sidecars }: Simulation): Map<string, object> {
    return new Map(
      sidecars.flatMap(({ id, resources }) => resources.map(({ type, name, body }) => [`${id} ${type} ${name}`, cache.intern(type, name, body)] as const)),
    );
  }

  test('give equal bytes, in whatever order they are written', () => {
    const meshAndOrder = randomMesh().chain((file) =>
      fc.record({
        file: fc.constant(file),
        nodes: fc.shuffledSubarray([...file.nodes], { minLength: file.nodes.length }),
        config_entries: fc.shuffledSubarray([...file.config_entries], { minLength: file.config_entries.length }),
      }),
    );
    fc.assert(
      fc.property(meshAndOrder, ({ file, nodes, config_entries }) => {
        const cache = new ResourceCache();
        const mesh = simulationOf(file);
        const before = bytesOf(cache, mesh);
        const again = bytesOf(cache, simulationOf(file));
        const shuffled = bytesOf(cache, simulationOf({ ...file, nodes, config_entries }, virtualIpsOf(mesh.mesh)));
        expect(differences(before, again)).toEqual([]);
        expect(differences(before, shuffled)).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test('stay so for everybody whom a change does not concern', () => {
    // Nothing is said about all services at once: no default that lets them in, no wildcard destination, none that all are dialed directly.
    const nothingForAll = randomMesh().map((file) => ({
      ...file,
      default_intention_policy: 'deny' as const,
      config_entries: file.config_entries
        .filter(({ kind, name }) => kind !== 'service-intentions' || name !== '*')
        .map((entry) => (entry.kind === 'proxy-defaults' ? { ...entry, transparent_proxy: {} } : entry)),
    }));
    fc.assert(
      fc.property(nothingForAll, (file) => {
        const cache = new ResourceCache();
        const mesh = simulationOf(file);
        const larger = simulationOf(
          {
            ...file,
            nodes: [...file.nodes, ...NEWCOMERS],
            config_entries: [
              ...file.config_entries,
              { kind: 'service-intentions', name: 'new-db', sources: [{ name: 'new-web', action: 'allow' }] } as { kind: string },
            ],
          },
          virtualIpsOf(mesh.mesh),
        );
        const before = bytesOf(cache, mesh);
        const after = bytesOf(cache, larger);
        expect([...before.keys()].filter((key) => before.get(key) !== after.get(key))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });
});

const NEWCOMERS = ['new-web', 'new-db'].map((name, index) => ({
  name: `vm-${name}`,
  address: `10.0.8.${index + 1}`,
  services: [{ name, port: 80, connect: { sidecar_service: { proxy: { mode: 'transparent' } } } }],
}));

function differences(one: ReadonlyMap<string, object>, other: ReadonlyMap<string, object>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter((key) => one.get(key) !== other.get(key));
}

type Referred = 'cluster' | 'endpoint' | 'route' | 'secret';

function names(sidecar: Sidecar, kind: Referred): string[] {
  return sidecar.resources.filter(({ type }) => type === kind).map(({ name }) => name);
}

/** Everything that a resource names: clusters, assignments of EDS, route configurations, secrets. */
function referencesOf(sidecar: Sidecar): { kind: Referred; name: string }[] {
  const found: { kind: Referred; name: string }[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { cluster, weighted_clusters, clusters, rds, sds_config, name, type } = value as Record<string, unknown>;
    if (typeof cluster === 'string') found.push({ kind: 'cluster', name: cluster });
    if (sds_config) found.push({ kind: 'secret', name: String(name) });
    if (type === 'EDS') found.push({ kind: 'endpoint', name: String(name) });
    if (isNamed(rds)) found.push({ kind: 'route', name: rds.route_config_name });
    for (const weighted of weightedClusters(weighted_clusters)) found.push({ kind: 'cluster', name: weighted });
    if (Array.isArray(clusters)) for (const member of clusters) if (typeof member === 'string') found.push({ kind: 'cluster', name: member });
    for (const inner of Object.values(value)) visit(inner);
  };
  for (const { body } of sidecar.resources) visit(body);
  return found;
}

function isNamed(rds: unknown): rds is { route_config_name: string } {
  return typeof rds === 'object' && rds !== null && 'route_config_name' in rds;
}

function weightedClusters(action: unknown): string[] {
  const { clusters } = (action ?? {}) as { clusters?: { name: string }[] };
  return (clusters ?? []).map(({ name }) => name);
}

/** Each combination that Envoy looks a chain up by. */
function claimsOf({ filter_chain_match: match = {} }: FilterChain): string[] {
  const { prefix_ranges: ranges = [], server_names: serverNames = [], ...rest } = match;
  const others = JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
  const prefixes = ranges.length > 0 ? ranges.map(({ address_prefix, prefix_len }) => `${address_prefix}/${prefix_len}`) : [''];
  return prefixes.flatMap((prefix) => (serverNames.length > 0 ? serverNames : ['']).map((serverName) => `${prefix} ${serverName} ${others}`));
}

function isGuarded({ transport_socket: socket, filters = [] }: FilterChain): boolean {
  const tls = configOf(socket?.typed_config, 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext');
  const manager = findConfig(filters, 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager');
  const rbac = manager
    ? findConfig(manager.http_filters, 'envoy.extensions.filters.http.rbac.v3.RBAC')
    : configOf(filters[0]?.typed_config, 'envoy.extensions.filters.network.rbac.v3.RBAC');
  const validates = tls?.common_tls_context?.validation_context_sds_secret_config !== undefined;
  return tls?.require_client_certificate === true && validates && rbac?.rules !== undefined;
}

function isPermissive(entries: ConfigEntries, service: string): boolean {
  const allowed = entries.get('mesh', 'mesh')?.allow_enabling_permissive_mutual_tls ?? false;
  return allowed && entries.get('service-defaults', service)?.mutual_tls_mode === 'permissive';
}
