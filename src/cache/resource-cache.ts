import { createHash } from 'node:crypto';
import { encodeUnknown } from '../proto/codec.ts';
import { type CachedResource, RESOURCE_TYPES, type ResourcesByName, type ResourceType, type Snapshot } from './resource.ts';

/** Hex digits of SHA-256 that make a version: 128 bits, too many to meet a collision by chance. */
const VERSION_DIGITS = 32;

/**
 * Turns plain resources into named bytes, each content once for the whole process.
 * Nothing is held on to: a resource that no snapshot and no stream uses any more is collected.
 */
export class ResourceCache {
  readonly #byContent = new Map<string, WeakRef<CachedResource>>();
  readonly #byBody = new WeakMap<object, CachedResource>();
  readonly #collected = new FinalizationRegistry<string>((key) => {
    // the same content may have been interned again between the collection and this call
    if (!this.#byContent.get(key)?.deref()) this.#byContent.delete(key);
  });

  /**
   * Equal content gives the same object, whatever order its fields came in.
   * The very same `body` object is recognised without encoding it, so a body must not be changed after it was interned.
   * @param body canonical proto3 JSON of the message
   * @throws ProtoJsonError when the body does not fit its message
   */
  intern(type: ResourceType, name: string, body: object): CachedResource {
    const known = this.#byBody.get(body);
    if (known?.name === name) return known;
    const bytes = encodeUnknown(messageName(type), body);
    const version = createHash('sha256').update(bytes).digest('hex').slice(0, VERSION_DIGITS);
    const key = `${type}\0${name}\0${version}`;
    let resource = this.#byContent.get(key)?.deref();
    if (!resource) {
      const endpoints = type === 'cluster' ? endpointsName(name, body) : undefined;
      resource = endpoints === undefined ? { name, version, bytes } : { name, version, bytes, endpoints };
      this.#byContent.set(key, new WeakRef(resource));
      this.#collected.register(resource, key);
    }
    this.#byBody.set(body, resource);
    return resource;
  }

  /** How many contents are alive, or not yet known to be collected. For metrics and tests. */
  get size(): number {
    return this.#byContent.size;
  }
}

function messageName(type: ResourceType): string {
  return RESOURCE_TYPES[type].slice(RESOURCE_TYPES[type].indexOf('/') + 1);
}

function endpointsName(name: string, body: { type?: unknown; eds_cluster_config?: { service_name?: unknown } }): string | undefined {
  if (body.type !== 'EDS') return undefined;
  const service = body.eds_cluster_config?.service_name;
  return typeof service === 'string' && service !== '' ? service : name;
}

const none: ResourcesByName = new Map();

/** A proxy that is known and should have nothing. */
export const emptySnapshot: Snapshot = { secret: none, cluster: none, endpoint: none, listener: none, route: none };

/**
 * All that one proxy should have, by type and name. Of two resources with one name the first stays.
 * @param previous its snapshot before: types without a change keep their very map, which streams recognise without comparing
 */
export function buildSnapshot(resources: Iterable<readonly [ResourceType, CachedResource]>, previous: Snapshot = emptySnapshot): Snapshot {
  const next: Record<ResourceType, Map<string, CachedResource>> = {
    secret: new Map(),
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
  };
  for (const [type, resource] of resources) if (!next[type].has(resource.name)) next[type].set(resource.name, resource);
  const settled = {
    secret: keepIfEqual(previous.secret, next.secret),
    cluster: keepIfEqual(previous.cluster, next.cluster),
    endpoint: keepIfEqual(previous.endpoint, next.endpoint),
    listener: keepIfEqual(previous.listener, next.listener),
    route: keepIfEqual(previous.route, next.route),
  };
  const unchanged = (Object.keys(settled) as ResourceType[]).every((type) => settled[type] === previous[type]);
  return unchanged ? previous : settled;
}

function keepIfEqual(previous: ResourcesByName, next: ResourcesByName): ResourcesByName {
  if (previous.size !== next.size) return next;
  for (const [name, resource] of next) if (previous.get(name) !== resource) return next;
  return previous;
}
