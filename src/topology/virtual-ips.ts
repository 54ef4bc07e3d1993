import { isIP } from 'node:net';
import { takesVirtualIp } from '../mesh/entry-traits.ts';
import type { Mesh } from '../mesh/mesh.ts';
import { foldName } from '../mesh/service-names.ts';

/**
 * Virtual IPs: one address per service name, out of a range nobody routes. Sidecars match on them, DNS answers with them, and
 * applications keep them for as long as they like. Therefore an address never moves, and a freed one rests: handing it to
 * another service while some sidecar or resolver still holds the old meaning would send traffic to the wrong service.
 */

/** What has been handed out. Plain JSON, to be kept in a file. Services are in lower case: all spellings of a name have one address. */
export interface VirtualIpState {
  /** Service → address. */
  readonly assigned: Readonly<Record<string, string>>;
  /** Addresses whose service is gone. A service that comes back gets its own again. */
  readonly released: readonly ReleasedVirtualIp[];
  /** The next address that was never handed out, as a 32-bit number. */
  readonly nextFresh: number;
}

export interface ReleasedVirtualIp {
  readonly service: string;
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly releasedAtMs: number;
}

export interface AllocationOptions {
  /** Service → address that the input insists on. */
  readonly pinned: ReadonlyMap<string, string>;
  /** Addresses that mean something already, such as virtual IPs managed outside. They are not handed out. */
  readonly occupied?: Iterable<string>;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Whether it is certain that no sidecar holds the address any more. Asked only when the range is used up. Default: never. */
  readonly mayReuse?: (address: string) => boolean;
  /** How long a released address rests at least. Default: 30 days. */
  readonly quarantineMs?: number;
  /** First and last address to hand out. Default: 240.0.0.1 to 255.255.255.254. */
  readonly range?: { readonly first: string; readonly last: string };
}

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_QUARANTINE_MS = 30 * DAY_MS;

/** Consul's range, 240.0.0.0/4, without the network address and the broadcast address. */
const DEFAULT_RANGE = { first: '240.0.0.1', last: '255.255.255.254' };

export const NO_VIRTUAL_IPS: VirtualIpState = { assigned: {}, released: [], nextFresh: 0 };

/**
 * Every service that must have a virtual IP, in the order of writing. As in Consul: what has a sidecar or is Connect-native, what
 * a service-defaults, -resolver, -router, -splitter or exact intentions entry names, and what a terminating gateway stands for.
 */
export function namesNeedingVirtualIp(mesh: Mesh): string[] {
  const names = new Set<string>();
  for (const entry of mesh.configEntries) if (takesVirtualIp(entry)) names.add(entry.name);
  for (const instance of mesh.instances) {
    if (instance.proxy && instance.kind === 'connect-proxy') names.add(instance.proxy.destination_service_name);
    else if (instance.connectNative) names.add(instance.service);
    else if (instance.kind === 'terminating-gateway') {
      for (const linked of mesh.configEntries.get('terminating-gateway', instance.service)?.services ?? []) names.add(linked.name);
    }
  }
  return [...names];
}

/**
 * The state after `names` (and only they) have an address. A pin wins over an address handed out before; whoever had it then
 * gets another. Names that find no address, because the range is used up, are missing from `assigned`.
 */
export function allocateVirtualIps(state: VirtualIpState, services: readonly string[], options: AllocationOptions): VirtualIpState {
  const range = options.range ?? DEFAULT_RANGE;
  const last = toNumber(range.last);
  const names = services.map(foldName);
  const wanted = new Set(names);
  const assigned = new Map<string, string>();
  const released = new Map(state.released.map((entry) => [entry.address, entry]));
  let nextFresh = Math.max(state.nextFresh, toNumber(range.first));

  const taken = new Set<string>();
  const assign = (name: string, address: string) => {
    assigned.set(name, address);
    taken.add(address);
    released.delete(address);
  };

  for (const [name, address] of options.pinned) if (wanted.has(foldName(name))) assign(foldName(name), address);
  for (const address of options.pinned.values()) taken.add(address);

  for (const [written, address] of inLowerCaseFirst(Object.entries(state.assigned))) {
    const name = foldName(written);
    if (wanted.has(name) && !assigned.has(name) && !taken.has(address)) assign(name, address);
    else if (!taken.has(address)) released.set(address, { service: name, address, releasedAtMs: options.now });
  }
  for (const { service, address } of state.released) {
    const name = foldName(service);
    if (wanted.has(name) && !assigned.has(name) && !taken.has(address)) assign(name, address);
  }

  const occupied = new Set(options.occupied);
  const fresh = (): string | undefined => {
    while (nextFresh <= last) {
      const address = toAddress(nextFresh);
      nextFresh += 1;
      if (!taken.has(address) && !released.has(address) && !occupied.has(address)) return address;
    }
    return undefined;
  };
  const rested = (): string | undefined => {
    const quarantineMs = options.quarantineMs ?? DEFAULT_QUARANTINE_MS;
    const oldestFirst = [...released.values()].sort((a, b) => a.releasedAtMs - b.releasedAtMs || (a.address < b.address ? -1 : 1));
    return oldestFirst.find(({ address, releasedAtMs }) => options.now - releasedAtMs >= quarantineMs && !occupied.has(address) && options.mayReuse?.(address))
      ?.address;
  };
  for (const name of names) {
    if (assigned.has(name)) continue;
    const address = fresh() ?? rested();
    if (address) assign(name, address);
  }

  const byName = [...assigned].sort(([a], [b]) => (a < b ? -1 : 1));
  const byAddress = [...released.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
  return { assigned: Object.fromEntries(byName), released: byAddress, nextFresh };
}

/** Of two spellings of one name, as earlier versions kept them, the one in lower case keeps its address. */
function inLowerCaseFirst<Value>(entries: readonly (readonly [string, Value])[]): (readonly [string, Value])[] {
  const isLower = ([name]: readonly [string, Value]) => name === foldName(name);
  return [...entries.filter(isLower), ...entries.filter((entry) => !isLower(entry))];
}

/** Whether this is a place to go on from: before the first address, or up to one after the last. */
export function isInRange(nextFresh: number): boolean {
  return nextFresh === 0 || (nextFresh >= toNumber(DEFAULT_RANGE.first) && nextFresh <= toNumber(DEFAULT_RANGE.last) + 1);
}

/** Service, as the mesh spells it, → its address. */
export function addressesOf({ assigned }: VirtualIpState, names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    names.flatMap((name) => {
      const address = Object.hasOwn(assigned, foldName(name)) ? assigned[foldName(name)] : undefined;
      return address === undefined ? [] : [[name, address] as const];
    }),
  );
}

/** Whether the address is of the range that nobody but the allocation hands out. */
export function isVirtualIp(address: string): boolean {
  return isIP(address) === 4 && Number(address.split('.')[0]) >= 240;
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
