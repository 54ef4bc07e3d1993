import type { CachedResource, ResourcesByName } from '../cache/resource.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import { buildCallerSans } from '../envoy/build-resources.ts';
import { PartMemo } from '../envoy/part-memo.ts';
import type { EnvoyResource } from '../envoy/resource.ts';
import { buildCallersSecret, buildLeafSecret, buildRootsSecret } from '../envoy/secret.ts';
import type { ProxyIdentity } from '../topology/proxy-identity.ts';
import type { ProxyView } from '../topology/proxy-view.ts';

/** A certificate with its key, both PEM. */
export interface KeyedChain {
  readonly certificateChain: string;
  readonly privateKey: string;
}

export interface SecretSources {
  /** Trusted root certificates, PEM. */
  roots(): readonly string[];
  leaf(service: string): KeyedChain | undefined;
}

/** The secrets of proxies, encoded: the roots once per bundle, the callers once per view, a leaf once per service. */
export class Secrets {
  readonly #sources: SecretSources;
  readonly #cache: ResourceCache;
  readonly #memo = new PartMemo();
  /** The bundle as one object, the same one until it differs. */
  #roots: readonly string[] = [];

  constructor(sources: SecretSources, cache: ResourceCache) {
    this.#sources = sources;
    this.#cache = cache;
  }

  /** Without a leaf a proxy's listeners and clusters wait for one, and refuse meanwhile. */
  of(view: ProxyView, identity: ProxyIdentity): ResourcesByName {
    const roots = this.#sources.roots();
    if (roots.join() !== this.#roots.join()) this.#roots = roots;
    const validation = this.#memo.of(this.#validation, view, this.#roots);
    const secrets = new Map(validation);
    for (const [name, service] of identity.leaves) {
      const leaf = this.#sources.leaf(service);
      if (leaf) secrets.set(name, this.#leaf(name, leaf));
    }
    return secrets;
  }

  readonly #validation = (view: ProxyView, roots: readonly string[]): ResourcesByName =>
    new Map(buildValidation(view, roots).map((secret) => [secret.name, this.#intern(secret)]));

  #leaf(name: string, leaf: KeyedChain): CachedResource {
    const known = this.#memo.of(leavesByName, leaf);
    const resource = known.get(name) ?? this.#intern(buildLeafSecret(leaf, name));
    known.set(name, resource);
    return resource;
  }

  #intern({ type, name, body }: EnvoyResource): CachedResource {
    return this.#cache.intern(type, name, body);
  }
}

/** The secrets that say whom a proxy trusts. */
export function buildValidation(view: ProxyView, roots: readonly string[]): EnvoyResource[] {
  const sans = buildCallerSans(view);
  return [buildRootsSecret(roots), ...(sans ? [buildCallersSecret(roots, sans)] : [])];
}

function leavesByName(_leaf: KeyedChain): Map<string, CachedResource> {
  return new Map();
}
