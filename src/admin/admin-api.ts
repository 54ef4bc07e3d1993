import type { Place, Problem } from '../mesh/problem.ts';
import type { StreamJson } from './stream-json.ts';

/** What operators can see and do. The control plane implements it; the HTTP server and the CLI speak it as JSON, snake_case. */
export interface AdminApi {
  /** Whether a complete mesh is being served, and if not (or not a fresh one), why. */
  readiness(): Readiness;
  proxies(): ProxyStatus[];
  /** Undefined when no registration and no stream has this ID. `node` chooses where an ID is used on several. */
  proxy(id: string, node?: string): ProxyDetails | undefined;
  /**
   * The resources that a proxy holds as canonical JSON, private keys left out: what its streams were given last, with what is on its way out.
   * `wanted`, and for a proxy that is not connected: what the mesh makes of it now. Undefined when nobody knows it.
   */
  proxyConfig(id: string, node?: string, options?: { readonly wanted?: boolean }): ProxyConfig | undefined;
  problems(): readonly Problem[];
  mesh(): MeshSummary;
  checkIntention(source: string, destination: string): IntentionVerdict;
  caRoots(): CaStatus;
  /** Starts a root rotation. Rejects with a reason when one is under way. */
  rotateCa(): Promise<CaStatus>;
  issueLeaf(service: string): Promise<IssuedLeaf>;
  /** For a TLS server that is called by these DNS names and IP addresses. */
  issueServerCertificate(names: readonly string[], ttlMs?: number): Promise<IssuedServerCertificate>;
  /** Those in force, oldest first. The secrets themselves are not kept. */
  tokens(): readonly TokenStatus[];
  /** @throws AdminError where the mesh's source gives tokens out itself */
  createToken(grant: TokenGrant): CreatedToken;
  /** What was served on its account ends within seconds. False: there is no such token. */
  revokeToken(id: string): boolean;
}

export interface Readiness {
  readonly ready: boolean;
  /** `fresh`: the mesh as it is now; `stale`: the last good one, because the newest cannot be used; `none`. */
  readonly mesh: 'fresh' | 'stale' | 'none';
  readonly reason?: string;
}

export interface ProxyStatus {
  readonly id: string;
  readonly node?: string;
  readonly service?: string;
  /** `connected`: served; `waiting`: connected, but nothing to serve (see `reason`); `disconnected`: registered or refused, no stream. */
  readonly state: 'connected' | 'waiting' | 'disconnected';
  readonly reason?: string;
  /** The last stream that was turned away, of the last ten minutes; absent once one was served again. */
  readonly refused?: { readonly at: string; readonly peer: string; readonly reason: string };
  /** What its Envoy does not take, with Envoy's own words. `closed`: nobody may call the service until that changes. Absent: it takes everything. */
  readonly refused_resources?: readonly RefusedResourceJson[];
  readonly streams: readonly StreamJson[];
}

export interface RefusedResourceJson {
  readonly type: string;
  readonly name: string;
  readonly at: string;
  readonly error: string;
  readonly closed: boolean;
}

export interface ProxyDetails extends ProxyStatus {
  readonly datacenter: string;
  /** What `adsum redirect-traffic --proxy-id` needs. Absent when the proxy is not registered. */
  readonly redirect?: RedirectSettings;
}

export interface RedirectSettings {
  /** The port inbound traffic is redirected to. */
  readonly bind_port: number;
  /** The port outbound traffic is redirected to. */
  readonly outbound_port: number;
  /** Ports that must stay reachable from outside without the proxy: exposed paths, metrics. */
  readonly exclude_inbound_ports: readonly number[];
}

export interface ProxyConfig {
  readonly clusters: readonly object[];
  readonly endpoints: readonly object[];
  readonly listeners: readonly object[];
  readonly routes: readonly object[];
  readonly secrets: readonly object[];
}

export interface MeshSummary {
  readonly datacenter: string;
  readonly trust_domain: string;
  readonly default_intention_policy: 'allow' | 'deny';
  readonly services: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly virtual_ips: readonly string[];
    readonly instances: readonly { readonly id: string; readonly node: string; readonly address: string; readonly port: number; readonly health: string }[];
  }[];
}

export interface IntentionVerdict {
  readonly source: string;
  readonly destination: string;
  /** `l7`: allowed to connect, each request is decided by permissions. */
  readonly verdict: 'allow' | 'deny' | 'l7';
  /** The deciding intention as `SOURCE => DESTINATION`; absent when the default policy decided. */
  readonly intention?: string;
  readonly place?: Place;
}

export interface CaStatus {
  readonly trust_domain: string;
  /** Trusted roots, the signing one first. */
  readonly roots: readonly { readonly id: string; readonly signing: boolean; readonly not_after: string; readonly pem: string }[];
  /** Absent when no rotation is under way. */
  readonly rotation?: string;
}

export interface IssuedServerCertificate {
  readonly certificate: string;
  readonly private_key: string;
  readonly roots: string;
  readonly not_after: string;
}

export interface IssuedLeaf {
  readonly certificate_chain: string;
  readonly private_key: string;
  readonly roots: string;
  readonly spiffe_id: string;
  readonly not_after: string;
}

/** `service`: its sidecars are served. `operator`: other hosts may read everything over the admin port. */
export interface TokenGrant {
  readonly service?: string | undefined;
  /** The service on this node only. */
  readonly node?: string | undefined;
  readonly operator?: true | undefined;
  /** From now; undefined: until it is revoked. */
  readonly ttlMs?: number | undefined;
}

export interface TokenStatus {
  readonly id: string;
  readonly service?: string;
  readonly node?: string;
  readonly operator?: true;
  readonly created_at: string;
  /** Absent: valid until it is revoked. */
  readonly expires_at?: string;
}

export interface CreatedToken extends TokenStatus {
  /** The token itself, seen here and never again. */
  readonly token: string;
  /** The mesh has no such service now. */
  readonly unknown_service?: true;
}

/** A refusal that is the caller's business: becomes an HTTP status and a message. */
export class AdminError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'AdminError';
    this.status = status;
  }
}
