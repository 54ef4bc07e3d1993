import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildCallerSans, buildResources } from '../../src/envoy/build-resources.ts';
import type { EnvoyResource } from '../../src/envoy/resource.ts';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../src/topology/build-topology.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp } from '../../src/topology/virtual-ips.ts';
import { ScratchAuthority } from '../conformance/dump.ts';
import { findEnvoy, release } from './lab/envoy-binary.ts';

/**
 * Everything that the golden meshes (and the recorded ones, where they are at hand) give their sidecars, loaded into Envoy in validate
 * mode: all of it at once, made static, with names and ports kept apart.
 */

type Json = Record<string, unknown>;

const GOLDEN = new URL('../golden/', import.meta.url).pathname;
const RECORDED = new URL('../../../shared/conformance/scenarios/', import.meta.url).pathname;
const TRUST_DOMAIN = '11111111-2222-3333-4444-555555555555.consul';

const authority = await ScratchAuthority.create(TRUST_DOMAIN);
const leaf = await authority.leaf(`spiffe://${TRUST_DOMAIN}/ns/default/dc/dc1/svc/any`);
const scratch = mkdtempSync(join(tmpdir(), 'adsum-accepts-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe.each([release.default, release.newest])('Envoy %s', (version) => {
  const envoy = findEnvoy(version);
  test.skipIf(!envoy)('accepts what the golden meshes lead to', () => accepts(envoy?.binary ?? '', meshFiles(GOLDEN, 'mesh.yaml'), version));
  test.skipIf(!envoy || !existsSync(RECORDED))('accepts what the recorded meshes lead to', () =>
    accepts(envoy?.binary ?? '', meshFiles(RECORDED, 'mesh.json'), version),
  );
});

const EXPECTED = [
  /global_downstream_max_connections/,
  // As Consul has it: claims of tokens in RBAC, the failure mode of plugins, the headers sent to an authorization service, the OpenTelemetry log.
  /Deprecated field: .*(rbac|wasm)\.proto/,
  /Deprecated field: .*(AuthorizationRequest\.allowed_headers|OpenTelemetryAccessLogConfig\.common_config)/,
  // Validation fetches nothing.
  /jwks/i,
];

function meshFiles(folder: string, file: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name, file))
    .filter((path) => existsSync(path));
}

function accepts(binary: string, meshes: readonly string[], version: string): void {
  const config = new StaticConfig();
  for (const mesh of meshes) addMesh(config, mesh, version);
  expect(config.size).toBeGreaterThan(meshes.length);
  const path = join(scratch, 'bootstrap.json');
  writeFileSync(path, JSON.stringify(config.bootstrap()));
  const { status, stderr } = spawnSync(binary, ['--mode', 'validate', '--log-level', 'warning', '-c', path], { encoding: 'utf8' });
  const complaints = stderr.split('\n').filter((line) => /\]\[(warning|error|critical)\]/.test(line) && !EXPECTED.some((expected) => expected.test(line)));
  expect({ status, complaints }).toEqual({ status: 0, complaints: [] });
}

function addMesh(config: StaticConfig, path: string, version: string): void {
  const { mesh } = parseMeshFiles([{ path, text: readFileSync(path, 'utf8') }]);
  if (!mesh) throw new Error(`${path} has errors`);
  const { assigned } = allocateVirtualIps(NO_VIRTUAL_IPS, namesNeedingVirtualIp(mesh), { pinned: mesh.pinnedVirtualIps, now: 0 });
  const topology = buildTopology(mesh, { trustDomain: TRUST_DOMAIN, virtualIps: new Map(Object.entries(assigned)) });
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  for (const sidecar of mesh.instances.filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy)) {
    const view = resolveProxyView(topology, sidecar);
    config.addProxy(buildResources(view, { ipv6: true, version: [major, minor, patch] }).resources, buildCallerSans(view) ?? []);
  }
}

/** Collects the resources of many proxies in one bootstrap. */
class StaticConfig {
  readonly #clusters = new Map<string, Json>();
  readonly #listeners = new Map<string, Json>();
  #names = new Set<string>();
  #port = 1000;

  get size(): number {
    return this.#clusters.size + this.#listeners.size;
  }

  addProxy(resources: readonly EnvoyResource[], callerSans: readonly object[]): void {
    const bodies = (type: string) => resources.filter((resource) => resource.type === type).map(({ name, body }) => [name, body as Json] as const);
    const routes = new Map(bodies('route'));
    const endpoints = new Map(bodies('endpoint'));
    const inline = (value: unknown): unknown => inlined(value, { routes, callerSans });
    for (const [name, body] of bodies('cluster')) this.#addCluster(inline(staticCluster(body, endpoints.get(name))) as Json);
    for (const [, body] of bodies('listener')) this.#addListener(inline(body) as Json);
  }

  bootstrap(): Json {
    return {
      static_resources: { clusters: [...this.#clusters.values()], listeners: [...this.#listeners.values()] },
      layered_runtime: { layers: [{ name: 'base', static_layer: { 're2.max_program_size.error_level': 1048576 } }] },
    };
  }

  /** Listeners refer to clusters by name, so the first of a name keeps it; others need only be valid themselves. */
  #addCluster(cluster: Json): void {
    const key = JSON.stringify(cluster);
    if (this.#clusters.has(key)) return;
    const name = this.#names.has(String(cluster.name)) ? `${cluster.name}#${this.#clusters.size}` : String(cluster.name);
    this.#names.add(name);
    this.#clusters.set(key, { ...cluster, name });
  }

  #addListener(listener: Json): void {
    const key = JSON.stringify(listener);
    // A plugin is a file on the proxy's host, which Envoy reads already while validating.
    if (this.#listeners.has(key) || key.includes('extensions.filters.http.wasm')) return;
    const renumbered = JSON.parse(
      JSON.stringify({ ...listener, name: `${listener.name}#${this.#listeners.size}` }, (name, value) => (name === 'port_value' ? this.#nextPort() : value)),
    );
    this.#listeners.set(key, renumbered as Json);
  }

  #nextPort(): number {
    this.#port += 1;
    return this.#port;
  }
}

function staticCluster(cluster: Json, assignment: Json | undefined): Json {
  const { eds_cluster_config: eds, ...rest } = cluster;
  return eds ? { ...rest, type: 'STATIC', load_assignment: { ...assignment, cluster_name: cluster.name } } : cluster;
}

/** Secrets and routes in place of the references to them; files that only a proxy's host has, as text. */
function inlined(value: unknown, known: { routes: ReadonlyMap<string, Json>; callerSans: readonly object[] }): unknown {
  if (Array.isArray(value)) return value.map((item) => inlined(item, known));
  if (typeof value !== 'object' || value === null) return value;
  const roots = { trusted_ca: { inline_string: authority.rootPem } };
  const fields = Object.entries(value).flatMap(([key, item]): [string, unknown][] => {
    if (key === 'tls_certificate_sds_secret_configs') {
      return [['tls_certificates', [{ certificate_chain: { inline_string: leaf.certificateChain }, private_key: { inline_string: leaf.privateKey } }]]];
    }
    if (key === 'validation_context_sds_secret_config') {
      return [['validation_context', item.name === 'callers' ? { ...roots, match_typed_subject_alt_names: known.callerSans } : roots]];
    }
    if (key === 'combined_validation_context') return [['validation_context', { ...item.default_validation_context, ...roots }]];
    if (key === 'rds') return [['route_config', known.routes.get(item.route_config_name)]];
    return [[key, inlined(item, known)]];
  });
  return Object.fromEntries(fields);
}
