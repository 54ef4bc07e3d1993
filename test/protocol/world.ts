import { RESOURCE_TYPES, type ResourceType, type Snapshot } from '../../src/cache/resource.ts';
import { groupByType, ResourceCache, succeed } from '../../src/cache/resource-cache.ts';

/** What a proxy should have, in shorthand: type → name → a tag that stands for the content. */
export type State = Partial<Record<ResourceType, Record<string, string>>>;

/** A resource that carries `tag` somewhere in its message. A cluster whose tag starts with `eds` is fed by EDS. */
export function bodyOf(type: ResourceType, name: string, tag: string): object {
  switch (type) {
    case 'cluster':
      return { name, alt_stat_name: tag, ...(tag.startsWith('eds') && { type: 'EDS', eds_cluster_config: {} }) };
    case 'endpoint':
      return { cluster_name: name, named_endpoints: { [tag]: {} } };
    case 'listener':
      return { name, stat_prefix: tag };
    case 'route':
      return { name, virtual_hosts: [{ name: tag, domains: ['*'] }] };
    case 'secret':
      return { name, generic_secret: { secret: { inline_string: tag } } };
  }
}

/** The opposite of `bodyOf`: `name=tag`. */
export function tagOf(type: ResourceType, body: Record<string, unknown>): string {
  const at = (value: unknown, ...path: (string | number)[]): unknown =>
    path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | undefined)?.[key], value);
  switch (type) {
    case 'cluster':
      return `${body.name}=${body.alt_stat_name}`;
    case 'endpoint':
      return `${body.cluster_name}=${Object.keys((body.named_endpoints as object | undefined) ?? {})[0]}`;
    case 'listener':
      return `${body.name}=${body.stat_prefix}`;
    case 'route':
      return `${body.name}=${at(body, 'virtual_hosts', 0, 'name')}`;
    case 'secret':
      return `${body.name}=${at(body, 'generic_secret', 'secret', 'inline_string')}`;
  }
}

export function messageName(type: ResourceType): string {
  return RESOURCE_TYPES[type].slice('type.googleapis.com/'.length);
}

/** Snapshots out of shorthand; the same shorthand gives the very same snapshot. */
export function snapshotMaker(): (state: State) => Snapshot {
  const cache = new ResourceCache();
  const made = new Map<string, Snapshot>();
  let previous: Snapshot | undefined;
  return (state) => {
    const key = JSON.stringify(state);
    const known = made.get(key);
    if (known) return known;
    const resources = Object.entries(state).flatMap(([type, named]) =>
      Object.entries(named).map(
        ([name, tag]) => [type as ResourceType, cache.intern(type as ResourceType, name, bodyOf(type as ResourceType, name, tag))] as const,
      ),
    );
    previous = succeed(previous, groupByType(resources));
    made.set(key, previous);
    return previous;
  };
}
