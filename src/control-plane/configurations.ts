import type { CachedResource, ResourcesByName, ResourceType } from '../cache/resource.ts';
import { groupByType, type ResourceCache } from '../cache/resource-cache.ts';
import { buildResources } from '../envoy/build-resources.ts';
import { PartMemo } from '../envoy/part-memo.ts';
import type { EnvoyTraits } from '../envoy/resource.ts';
import type { Problem } from '../mesh/problem.ts';
import type { ProxyView } from '../topology/proxy-view.ts';

/** What a view comes to for an Envoy, encoded. Proxies with the same view and traits share it. */
export interface Configuration {
  readonly view: ProxyView;
  /** Secrets left out. */
  readonly resources: Readonly<Record<Exclude<ResourceType, 'secret'>, ResourcesByName>>;
  /** The part of the view that each resource was made from. */
  readonly madeFrom: ReadonlyMap<CachedResource, object>;
  readonly problems: readonly Problem[];
  /** The names of the listeners behind which is the application. */
  readonly applicationListeners: readonly string[];
}

/** Builds and encodes each view once, and of each view only the parts that no other view had. */
export class Configurations {
  readonly #cache: ResourceCache;
  readonly #memo = new PartMemo();
  readonly #traits = new Map<string, EnvoyTraits>();

  constructor(cache: ResourceCache) {
    this.#cache = cache;
  }

  of(view: ProxyView, traits: EnvoyTraits): Configuration {
    return this.#memo.of(this.#build, view, this.#shared(traits));
  }

  readonly #build = (view: ProxyView, traits: EnvoyTraits): Configuration => {
    const { resources, problems, applicationListeners } = buildResources(view, traits, this.#memo);
    const madeFrom = new Map<CachedResource, object>();
    const encoded = resources.map(({ type, name, body, madeFrom: part }) => {
      const resource = this.#cache.intern(type, name, body);
      if (part) madeFrom.set(resource, part);
      return [type, resource] as const;
    });
    const { secret: _none, ...byType } = groupByType(encoded);
    return { view, resources: byType, madeFrom, problems, applicationListeners };
  };

  /** Equal traits are one object here, so that what was built for them is found by it. */
  #shared(traits: EnvoyTraits): EnvoyTraits {
    const key = JSON.stringify([traits.ipv6, traits.version]);
    const known = this.#traits.get(key) ?? traits;
    this.#traits.set(key, known);
    return known;
  }
}
