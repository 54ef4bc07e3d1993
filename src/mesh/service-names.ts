import { isNamedAfterService } from './entry-traits.ts';
import type { Instance } from './instance.ts';
import { type Place, placed } from './problem.ts';
import type { ConfigEntry, EntryOfKind } from './schema/config-entry.ts';

/** Consul compares the names of services, nodes and config entries without regard to case, and keeps them as they were written. */
export function foldName(name: string): string {
  return name.toLowerCase();
}

export function sameName(one: string, other: string): boolean {
  return foldName(one) === foldName(other);
}

/**
 * The one spelling of each service of a mesh. Everything in a mesh is respelled to it once, when the mesh is put together, so that
 * names can be compared as they are from there on, and a service has one identity however it is written elsewhere.
 */
export class ServiceNames {
  readonly #spellings: ReadonlyMap<string, string>;

  constructor(spellings: ReadonlyMap<string, string>) {
    this.#spellings = spellings;
  }

  /** How the mesh spells a service. A name that it does not know stays as it is. */
  spellingOf(name: string): string {
    return this.#spellings.get(foldName(name)) ?? name;
  }
}

/** Instances and entries with one spelling of each service. What is spelled that way already is the very same object. */
export function withOneSpelling(instances: readonly Instance[], entries: readonly ConfigEntry[]) {
  const serviceNames = collectServiceNames(instances, entries);
  return {
    serviceNames,
    instances: instances.map((instance) => respellInstance(instance, serviceNames)),
    entries: entries.map((entry) => respellEntry(entry, serviceNames)),
  };
}

/** Every way of writing a service, the one that counts first: as proxies have it, because that is in their certificates. */
function collectServiceNames(instances: readonly Instance[], entries: readonly ConfigEntry[]): ServiceNames {
  const ofProxies = instances.flatMap(({ service, proxy, connectNative }) => [
    ...(proxy ? [proxy.destination_service_name] : []),
    ...(connectNative ? [service] : []),
  ]);
  const registered = instances.map(({ service }) => service);
  const configured = entries.filter(isNamedAfterService).map(({ name }) => name);
  const callers = entries.flatMap((entry) => (entry.kind === 'service-intentions' ? entry.sources.map(({ name }) => name) : []));
  const spellings = new Map<string, string>();
  for (const names of [ofProxies, registered, configured, callers]) {
    const found = new Map<string, string>();
    for (const name of names) {
      const folded = foldName(name);
      // Lower-case letters sort last. Which one it is does not depend on the order of writing.
      if (name > (found.get(folded) ?? '')) found.set(folded, name);
    }
    for (const [folded, name] of found) if (!spellings.has(folded)) spellings.set(folded, name);
  }
  return new ServiceNames(spellings);
}

/** The instance with every service spelled as the mesh does; the very same object where it is already. */
function respellInstance(instance: Instance, names: ServiceNames): Instance {
  return alter(instance, {
    service: (service) => names.spellingOf(service),
    taggedAddresses: (tagged) => respellTags(tagged, names),
    proxy: (proxy) =>
      proxy &&
      alter(proxy, {
        destination_service_name: (name) => names.spellingOf(name),
        upstreams: (upstreams) =>
          each(upstreams, (upstream) =>
            upstream.destination_type === 'prepared_query' || upstream.destination_peer
              ? upstream
              : alter(upstream, { destination_name: (name) => names.spellingOf(name) }),
          ),
      }),
  });
}

/** A terminating gateway's tag for the virtual IP of a service it stands for. */
const VIRTUAL_IP_TAG = 'consul-virtual:';

function respellTags(tagged: Instance['taggedAddresses'], names: ServiceNames): Instance['taggedAddresses'] {
  const respelled = (tag: string) => (tag.startsWith(VIRTUAL_IP_TAG) ? `${VIRTUAL_IP_TAG}${names.spellingOf(tag.slice(VIRTUAL_IP_TAG.length))}` : tag);
  if (Object.keys(tagged).every((tag) => respelled(tag) === tag)) return tagged;
  return Object.fromEntries(Object.entries(tagged).map(([tag, address]) => [respelled(tag), address]));
}

/** The entry with every service spelled as the mesh does; the very same object where it is already. */
function respellEntry(entry: ConfigEntry, names: ServiceNames): ConfigEntry {
  const spell = (name: string) => names.spellingOf(name);
  const spellOptional = (name: string | undefined) => name && spell(name);
  const named = isNamedAfterService(entry) ? alter(entry, { name: spell } as Changes<ConfigEntry>) : entry;
  switch (named.kind) {
    case 'service-defaults':
      return alter(named, {
        upstream_config: (config) =>
          config &&
          alter(config, { overrides: (overrides) => each(overrides, (one) => (one.peer ? one : alter(one, { name: spellOptional as typeof spell }))) }),
      });
    case 'service-intentions':
      return alter(named, { sources: (sources) => each(sources, (source) => (source.peer ? source : alter(source, { name: spell }))) });
    case 'service-router':
      return alter(named, {
        routes: (routes) => each(routes, (route) => alter(route, { destination: (to) => to && alter(to, { service: spellOptional }) })),
      });
    case 'service-splitter':
      return alter(named, { splits: (splits) => each(splits, (split) => alter(split, { service: spellOptional })) });
    case 'service-resolver':
      return respellResolver(named, spellOptional);
    case 'terminating-gateway':
      return alter(named, { services: (services) => each(services, (service) => alter(service, { name: spell })) });
    case 'ingress-gateway':
      return alter(named, {
        listeners: (listeners) =>
          each(listeners, (listener) => alter(listener, { services: (services) => each(services, (service) => alter(service, { name: spell })) })),
      });
    default:
      return named;
  }
}

function respellResolver(entry: EntryOfKind<'service-resolver'>, spell: (name: string | undefined) => string | undefined): ConfigEntry {
  return alter(entry, {
    redirect: (redirect) => redirect && (redirect.peer ? redirect : alter(redirect, { service: spell })),
    failover: (failover) => {
      const respelled = Object.entries(failover).map(
        ([subset, one]) =>
          [
            subset,
            alter(one, { service: spell, targets: (targets) => each(targets, (target) => (target.peer ? target : alter(target, { service: spell }))) }),
          ] as const,
      );
      return respelled.every(([subset, one]) => failover[subset] === one) ? failover : Object.fromEntries(respelled);
    },
  });
}

type Changes<Value> = { readonly [Key in keyof Value]?: (value: Value[Key]) => Value[Key] };

/** With some fields changed; the very same object when none is. */
function alter<Value extends object>(value: Value, changes: Changes<Value>): Value {
  const changed: Partial<Value> = {};
  for (const key of Object.keys(changes) as (keyof Value)[]) {
    const change = changes[key];
    const after = change ? change(value[key]) : value[key];
    if (after !== value[key]) changed[key] = after;
  }
  if (Object.keys(changed).length === 0) return value;
  const { place } = value as { readonly place?: Place };
  return place === undefined ? { ...value, ...changed } : placed({ ...value, ...changed }, place);
}

/** The very same list when no item is changed. */
function each<Item, List extends readonly Item[]>(list: List & readonly Item[], change: (item: List[number]) => List[number]): List {
  const changed = list.map(change);
  return changed.every((item, index) => item === list[index]) ? list : (changed as unknown as List);
}

/** A map by service; of two spellings of one the first that is written counts. */
export function respellKeys<Value>(map: ReadonlyMap<string, Value>, names: ServiceNames): ReadonlyMap<string, Value> {
  const respelled = new Map<string, Value>();
  for (const [name, value] of map) if (!respelled.has(names.spellingOf(name))) respelled.set(names.spellingOf(name), value);
  return respelled;
}
