import { isIP } from 'node:net';
import { normalAddress } from '../mesh/check/address.ts';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import { ConfigEntries, type Mesh } from '../mesh/mesh.ts';
import type { ConfigEntry } from '../mesh/schema/config-entry.ts';
import { foldName, ServiceNames } from '../mesh/service-names.ts';
import { ANY_SERVICE, intentionsOf } from './intentions.ts';
import type { TopologyFacts } from './topology.ts';

/** By which keys instances are looked up. Each lookup keeps the order of writing. */
const LOOKUPS = {
  id: (instance: Instance) => [instance.id],
  /** Ordinary instances by their service. */
  service: (instance: Instance) => (instance.kind === '' ? [instance.service] : []),
  meshService: meshServicesOf,
  /** Whoever accepts mutual TLS, by the address that others reach it by. */
  address: (instance: Instance) => (instance.kind === 'terminating-gateway' || meshServicesOf(instance).length > 0 ? [reachableAddress(instance)] : []),
  /** All instances by the address of their host in its normal form. */
  host: (instance: Instance) => {
    const address = reachableAddress(instance);
    return isIP(address) === 0 ? [] : [normalAddress(address)];
  },
  gatewayKind: ({ kind }: Instance) => (kind === '' || kind === 'connect-proxy' ? [] : [kind]),
  /** All instances by the name of their service in lower case, as DNS asks. */
  lowerCaseService: (instance: Instance) => [instance.service.toLowerCase()],
} as const;

export type InstanceLookup = keyof typeof LOOKUPS;

const INSTANCE_LOOKUPS = Object.keys(LOOKUPS) as InstanceLookup[];

/** What differs after an update, by what it is looked up by. */
export interface MeshDifference {
  readonly instances: Readonly<Record<InstanceLookup, ReadonlySet<string>>>;
  /** `<kind>/<name>` */
  readonly entries: ReadonlySet<string>;
  readonly entryKinds: ReadonlySet<string>;
  /** Callers to whom other services are open now. */
  readonly callers: ReadonlySet<string>;
  readonly virtualIps: ReadonlySet<string>;
  readonly manualVirtualIps: ReadonlySet<string>;
  /** Addresses, in their normal form, that belong to another service now. */
  readonly held: ReadonlySet<string>;
}

/** What differs, in a few words: kinds of config entries, `instances`, `virtual-ips`. */
export function changedKinds({ instances, entries, virtualIps, manualVirtualIps }: MeshDifference): Set<string> {
  const kinds = new Set([...entries].map((entry) => entry.slice(0, entry.indexOf('/'))));
  if (instances.id.size > 0) kinds.add('instances');
  if (virtualIps.size + manualVirtualIps.size > 0) kinds.add('virtual-ips');
  return kinds;
}

const NOTHING: Mesh = {
  datacenter: '',
  defaultIntentionPolicy: 'deny',
  instances: [],
  configEntries: new ConfigEntries(),
  pinnedVirtualIps: new Map(),
  manualVirtualIps: new Map(),
  serviceNames: new ServiceNames(new Map()),
  problems: [],
};

/**
 * A mesh, indexed. An update costs one look at every instance and entry, to see whether it is the very same object as before, and
 * work for those that are not. Sources keep the objects of what did not change.
 */
export class MeshIndex {
  #mesh = NOTHING;
  #facts: TopologyFacts = { trustDomain: '', virtualIps: new Map() };
  #known: ReadonlySet<Instance> = new Set();
  readonly #instances = new Map<InstanceLookup, Map<string, readonly Instance[]>>(INSTANCE_LOOKUPS.map((lookup) => [lookup, new Map()]));
  readonly #holders = new Map<string, string>();
  /** Caller → services that an intention names it for, wildcard destination left out. Sets are replaced, never changed. */
  readonly #permitted = new Map<string, ReadonlySet<string>>();

  get mesh(): Mesh {
    return this.#mesh;
  }

  get facts(): TopologyFacts {
    return this.#facts;
  }

  instances(lookup: InstanceLookup, key: string): readonly Instance[] {
    return this.#instances.get(lookup)?.get(key) ?? [];
  }

  keys(lookup: InstanceLookup): Iterable<string> {
    return this.#instances.get(lookup)?.keys() ?? [];
  }

  has(lookup: InstanceLookup, key: string): boolean {
    return this.#instances.get(lookup)?.has(key) ?? false;
  }

  /** Whom an address in its normal form was handed out to, or else is managed for. */
  holderOf(address: string): string | undefined {
    return this.#holders.get(address);
  }

  permittedTo(caller: string): ReadonlySet<string> {
    return this.#permitted.get(caller) ?? NO_SERVICES;
  }

  update(mesh: Mesh, facts: TopologyFacts): MeshDifference {
    const before = this.#mesh;
    const earlierFacts = this.#facts;
    const virtualIps = differingKeys(earlierFacts.virtualIps, facts.virtualIps, (one, other) => one === other);
    const manualVirtualIps = differingKeys(before.manualVirtualIps, mesh.manualVirtualIps, (one, other) => String(one) === String(other));
    this.#mesh = mesh;
    this.#facts = facts;
    const { entries, entryKinds, callers } = this.#updateEntries(before.configEntries, mesh.configEntries);
    return {
      instances: this.#updateInstances(before.instances, mesh.instances),
      entries,
      entryKinds,
      callers,
      virtualIps,
      manualVirtualIps,
      held: this.#updateHolders(
        [...virtualIps].flatMap((service) => [earlierFacts.virtualIps.get(service), facts.virtualIps.get(service)]),
        [...manualVirtualIps].flatMap((service) => [...(before.manualVirtualIps.get(service) ?? []), ...(mesh.manualVirtualIps.get(service) ?? [])]),
      ),
    };
  }

  #updateInstances(before: readonly Instance[], now: readonly Instance[]): MeshDifference['instances'] {
    const known = this.#known;
    const present = new Set(now);
    this.#known = present;
    const stayed = now.filter((instance) => known.has(instance));
    const stayedBefore = before.filter((instance) => present.has(instance));
    const reordered = stayed.some((instance, index) => stayedBefore[index] !== instance);
    const differing = reordered
      ? [...new Set([...before, ...now])]
      : [...before.filter((instance) => !present.has(instance)), ...now.filter((instance) => !known.has(instance))];
    const keysOf = (lookup: InstanceLookup) => new Set(differing.flatMap((instance) => LOOKUPS[lookup](instance)));
    const touched: MeshDifference['instances'] = {
      id: keysOf('id'),
      service: keysOf('service'),
      meshService: keysOf('meshService'),
      address: keysOf('address'),
      host: keysOf('host'),
      gatewayKind: keysOf('gatewayKind'),
      lowerCaseService: keysOf('lowerCaseService'),
    };
    for (const lookup of INSTANCE_LOOKUPS) if (touched[lookup].size > 0) this.#regroup(lookup, touched[lookup], now);
    return touched;
  }

  #regroup(lookup: InstanceLookup, keys: ReadonlySet<string>, instances: readonly Instance[]): void {
    const groups = new Map<string, Instance[]>();
    for (const instance of instances) {
      for (const key of LOOKUPS[lookup](instance)) {
        if (!keys.has(key)) continue;
        const group = groups.get(key);
        if (group) group.push(instance);
        else groups.set(key, [instance]);
      }
    }
    const all = this.#instances.get(lookup);
    for (const key of keys) {
      const group = groups.get(key);
      if (group) all?.set(key, group);
      else all?.delete(key);
    }
  }

  /** Looks anew who holds the addresses of services whose virtual IPs differ. */
  #updateHolders(handedOut: readonly (string | undefined)[], managed: readonly string[]): ReadonlySet<string> {
    const differing = new Set(
      [...handedOut, ...managed].filter((address): address is string => address !== undefined && isIP(address) !== 0).map(normalAddress),
    );
    if (differing.size === 0) return differing;
    for (const address of differing) this.#holders.delete(address);
    // what was handed out counts before what is managed outside, and among these the first
    for (const [service, addresses] of [...this.#mesh.manualVirtualIps].reverse()) for (const address of addresses) this.#hold(differing, address, service);
    for (const [service, address] of this.#facts.virtualIps) this.#hold(differing, address, service);
    return differing;
  }

  #hold(differing: ReadonlySet<string>, address: string, service: string): void {
    if (isIP(address) === 0) return;
    const normal = normalAddress(address);
    if (differing.has(normal)) this.#holders.set(normal, service);
  }

  #updateEntries(before: ConfigEntries, now: ConfigEntries): Pick<MeshDifference, 'entries' | 'entryKinds' | 'callers'> {
    const removed = [...before].filter(({ kind, name }) => !now.get(kind, name));
    const changed = [...now].filter((entry) => before.get(entry.kind, entry.name) !== entry);
    const callers = new Set<string>();
    for (const { kind, name } of [...removed, ...changed]) if (kind === 'service-intentions') this.#updatePermitted(before, now, name, callers);
    const differing = [...removed, ...changed];
    const order = sameOrder(before, now) ? [] : [...before, ...now];
    return {
      entries: new Set(differing.map(({ kind, name }) => entryKey(kind, name))),
      entryKinds: new Set([...differing, ...order].map(({ kind }) => kind)),
      callers,
    };
  }

  #updatePermitted(before: ConfigEntries, now: ConfigEntries, destination: string, callers: Set<string>): void {
    const earlier = permittedCallers(before, destination);
    const later = permittedCallers(now, destination);
    // the name may be spelled in another way than before
    const same = earlier.destination === later.destination;
    for (const caller of earlier.callers) if (!same || !later.callers.has(caller)) this.#permit(caller, earlier.destination, false, callers);
    for (const caller of later.callers) if (!same || !earlier.callers.has(caller)) this.#permit(caller, later.destination, true, callers);
  }

  #permit(caller: string, destination: string, permitted: boolean, callers: Set<string>): void {
    const services = new Set(this.#permitted.get(caller));
    if (permitted) services.add(destination);
    else services.delete(destination);
    if (services.size > 0) this.#permitted.set(caller, services);
    else this.#permitted.delete(caller);
    callers.add(caller);
  }
}

/** Entries are found whatever the case of their name. */
export function entryKey(kind: string, name: string): string {
  return `${kind}/${foldName(name)}`;
}

const NO_SERVICES: ReadonlySet<string> = new Set();

function meshServicesOf(instance: Instance): string[] {
  if (instance.kind === 'connect-proxy' && instance.proxy) return [instance.proxy.destination_service_name];
  return instance.connectNative ? [instance.service] : [];
}

function permittedCallers(entries: ConfigEntries, name: string): { readonly destination: string; readonly callers: ReadonlySet<string> } {
  const entry = name === ANY_SERVICE ? undefined : entries.get('service-intentions', name);
  const callers = entry ? intentionsOf(entry).flatMap(({ source, action }) => (action === 'deny' ? [] : [source])) : [];
  return { destination: entry?.name ?? name, callers: new Set(callers) };
}

/** Whether the entries that are in both stand in the same order. */
function sameOrder(before: ConfigEntries, now: ConfigEntries): boolean {
  const inBoth = (entries: ConfigEntries, other: ConfigEntries) => [...entries].filter(({ kind, name }: ConfigEntry) => other.get(kind, name));
  const later = inBoth(now, before);
  return inBoth(before, now).every(({ kind, name }, index) => later[index]?.kind === kind && later[index]?.name === name);
}

function differingKeys<Value>(before: ReadonlyMap<string, Value>, now: ReadonlyMap<string, Value>, same: (one: Value, other: Value) => boolean): Set<string> {
  const keys = new Set<string>();
  if (before === now) return keys;
  for (const key of before.keys()) if (!now.has(key)) keys.add(key);
  for (const [key, value] of now) {
    const earlier = before.get(key);
    if (earlier === undefined || !same(earlier, value)) keys.add(key);
  }
  return keys;
}
