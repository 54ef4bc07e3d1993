import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EnvoyResource } from '../../src/envoy/resource.ts';

type Json = Record<string, unknown>;

/** What may be complained about. */
const EXPECTED = [
  /global_downstream_max_connections/,
  // As Consul has it: claims of tokens in RBAC, the failure mode of plugins, the headers sent to an authorization service, the OpenTelemetry log.
  /Deprecated field: .*(rbac|wasm)\.proto/,
  /Deprecated field: .*(AuthorizationRequest\.allowed_headers|OpenTelemetryAccessLogConfig\.common_config)/,
  // Validation fetches nothing.
  /jwks/i,
];

/** Has Envoy look at a bootstrap without serving it: its exit status, and what it complained about. */
export function validate(binary: string, bootstrap: object): { status: number | null; complaints: string[] } {
  const scratch = mkdtempSync(join(tmpdir(), 'adsum-validate-'));
  try {
    const path = join(scratch, 'bootstrap.json');
    writeFileSync(path, JSON.stringify(bootstrap));
    const { status, stderr } = spawnSync(binary, ['--mode', 'validate', '--log-level', 'warning', '-c', path], { encoding: 'utf8', maxBuffer: 2 ** 28 });
    const complaints = stderr.split('\n').filter((line) => /\]\[(warning|error|critical)\]/.test(line));
    if (status === 0) return { status, complaints: complaints.filter((line) => !EXPECTED.some((expected) => expected.test(line))) };
    return { status, complaints: complaints.filter((line) => !/\]\[warning\]/.test(line)) };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** A certificate and what verifies it, in place of those that come by SDS. */
export interface StaticSecrets {
  readonly rootPem: string;
  readonly leaf: { readonly certificateChain: string; readonly privateKey: string };
}

/**
 * Collects the resources of many proxies in one bootstrap, made static, with names and ports kept apart: a cluster in a bootstrap that takes
 * secrets over ADS would crash Envoy.
 */
export class StaticConfig {
  readonly #secrets: StaticSecrets;
  readonly #clusters = new Map<string, Json>();
  readonly #listeners = new Map<string, Json>();
  #names = new Set<string>();
  #port = 1000;

  constructor(secrets: StaticSecrets) {
    this.#secrets = secrets;
  }

  get size(): number {
    return this.#clusters.size + this.#listeners.size;
  }

  /** The names its listeners got. */
  addProxy(resources: readonly EnvoyResource[], callerSans: readonly object[]): string[] {
    const bodies = (type: string) => resources.filter((resource) => resource.type === type).map(({ name, body }) => [name, body as Json] as const);
    const routes = new Map(bodies('route'));
    const endpoints = new Map(bodies('endpoint'));
    const inline = (value: unknown): unknown => inlined(value, { routes, callerSans, secrets: this.#secrets });
    for (const [name, body] of bodies('cluster')) this.#addCluster(inline(staticCluster(body, endpoints.get(name))) as Json);
    return bodies('listener').flatMap(([, body]) => this.#addListener(inline(body) as Json));
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

  #addListener(listener: Json): string[] {
    const key = JSON.stringify(listener);
    // A plugin is a file on the proxy's host, which Envoy reads already while validating.
    if (this.#listeners.has(key) || key.includes('extensions.filters.http.wasm')) return [];
    const renumbered = JSON.parse(
      JSON.stringify({ ...listener, name: `${listener.name}#${this.#listeners.size}` }, (name, value) => (name === 'port_value' ? this.#nextPort() : value)),
    );
    this.#listeners.set(key, renumbered as Json);
    return [renumbered.name];
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

interface Known {
  readonly routes: ReadonlyMap<string, Json>;
  readonly callerSans: readonly object[];
  readonly secrets: StaticSecrets;
}

/** Secrets and routes in place of the references to them; files that only a proxy's host has, as text. */
function inlined(value: unknown, known: Known): unknown {
  if (Array.isArray(value)) return value.map((item) => inlined(item, known));
  if (typeof value !== 'object' || value === null) return value;
  const { rootPem, leaf } = known.secrets;
  const roots = { trusted_ca: { inline_string: rootPem } };
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
