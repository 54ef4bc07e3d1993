import type { CachedResource, ResourceType, Snapshot } from '../cache/resource.ts';
import { sameRights } from '../envoy/closed-form.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import type { Verdict } from '../xds/status.ts';

/** A resource that the Envoys of a proxy do not take. */
export interface RefusedResource {
  readonly type: ResourceType;
  readonly name: string;
  readonly version: string;
  /** Envoy's own words, cut. */
  readonly error: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** It decides who may call the application, and what was in force before would let in others: nobody is let in instead. */
  readonly closed: boolean;
}

/** Views are remembered for this many versions of a resource: those that may still be in force. */
const VERSIONS_KEPT = 16;

/**
 * What the Envoys of one proxy have said of its resources. A refusal stands until the resource is another, is gone, or is accepted. For those that
 * decide who may call the application it also knows what is in force instead, by the view that each version was built from.
 */
export class RefusedResources {
  readonly #refused = new Map<string, RefusedResource>();
  /** The version that an Envoy has, by type and name; by stream, because not all Envoys of a proxy take the same. */
  readonly #inForce = new WeakMap<object, Map<string, string>>();
  /** By type and name, then by version; `closed` for the form that lets nobody in. */
  readonly #views = new Map<string, Map<string, ProxyView | 'closed'>>();

  list(): RefusedResource[] {
    return [...this.#refused.values()];
  }

  /** A resource that decides who may call the application is about to be sent. */
  noteGuard(type: ResourceType, { name, version }: CachedResource, view: ProxyView | 'closed'): void {
    const key = keyOf(type, name);
    const views = this.#views.get(key) ?? new Map<string, ProxyView | 'closed'>();
    this.#views.set(key, views);
    views.delete(version);
    views.set(version, view);
    const [oldest] = views.keys();
    if (oldest !== undefined && views.size > VERSIONS_KEPT) views.delete(oldest);
  }

  /** Takes in what an Envoy says. True: something is to be closed. */
  take({ type, accepted, refused, error, at }: Verdict, stream: object): boolean {
    const inForce = this.#inForce.get(stream) ?? new Map<string, string>();
    this.#inForce.set(stream, inForce);
    for (const { name, version } of accepted) {
      const key = keyOf(type, name);
      if (type === 'listener' || type === 'secret') inForce.set(key, version);
      if (this.#refused.get(key)?.version === version) this.#refused.delete(key);
    }
    let closes = false;
    for (const { name, version } of refused) {
      const key = keyOf(type, name);
      // That it cannot even be closed, because its address is taken for example, makes nothing else of it.
      if (this.#views.get(key)?.get(version) === 'closed') continue;
      const closed = this.#wouldLetInOthers(key, version, inForce.get(key));
      closes ||= closed;
      this.#refused.set(key, { type, name, version, error: error ?? '', at, closed });
    }
    return closes;
  }

  /** Whether this very resource was refused, and has to be replaced by the form that lets nobody in. */
  isClosed(type: ResourceType, { name, version }: CachedResource): boolean {
    const refused = this.#refused.get(keyOf(type, name));
    return refused?.version === version && refused.closed;
  }

  /** Forgets what was said of resources that are other ones now. */
  settle(wanted: Snapshot): void {
    for (const [key, { type, name, version }] of this.#refused) if (wanted[type].get(name)?.version !== version) this.#refused.delete(key);
  }

  #wouldLetInOthers(key: string, version: string, before: string | undefined): boolean {
    const wanted = this.#views.get(key)?.get(version);
    if (wanted === undefined || wanted === 'closed') return false;
    const inForce = this.#views.get(key)?.get(before ?? '');
    return inForce === undefined || (inForce !== 'closed' && !sameRights(inForce, wanted));
  }
}

function keyOf(type: ResourceType, name: string): string {
  return `${type}/${name}`;
}
