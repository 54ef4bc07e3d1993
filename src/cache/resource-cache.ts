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

/** Resources by type and name. Of two with one name the first stays. */
export function groupByType(resources: Iterable<readonly [ResourceType, CachedResource]>): Snapshot {
  const groups: Record<ResourceType, Map<string, CachedResource>> = {
    secret: new Map(),
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
  };
  for (const [type, resource] of resources) if (!groups[type].has(resource.name)) groups[type].set(resource.name, resource);
  return groups;
}

/**
 * The snapshot that follows on another. Types without a change keep their very map, which streams recognise without comparing; without
 * any change it is the one before.
 */
export function succeed(before: Snapshot | undefined, next: Snapshot): Snapshot {
  if (!before) return next;
  const settled: Snapshot = {
    secret: keepIfEqual(before.secret, next.secret),
    cluster: keepIfEqual(before.cluster, next.cluster),
    endpoint: keepIfEqual(before.endpoint, next.endpoint),
    listener: keepIfEqual(before.listener, next.listener),
    route: keepIfEqual(before.route, next.route),
  };
  const unchanged = (Object.keys(settled) as ResourceType[]).every((type) => settled[type] === before[type]);
  return unchanged ? before : settled;
}

function keepIfEqual(before: ResourcesByName, next: ResourcesByName): ResourcesByName {
  if (before === next || before.size !== next.size) return next;
  for (const [name, resource] of next) if (before.get(name) !== resource) return next;
  return before;
}
