import type { Instance } from '../mesh/instance.ts';
import { ConfigEntries, type Mesh } from '../mesh/mesh.ts';
import type { ConfigEntry, ConfigEntryKind, EntryOfKind } from '../mesh/schema/config-entry.ts';
import type { Intentions } from './intentions.ts';
import type { Topology } from './topology.ts';

/** A question that was put to a topology, and its answer. The same question can be put to a later topology. */
export interface Read {
  readonly ask: (topology: Topology) => unknown;
  readonly answer: unknown;
}

/** By a key that tells questions apart. */
export type Reads = ReadonlyMap<string, Read>;

/**
 * A topology that notes what it is asked. Whatever was worked out with it stays right for every other topology that would answer
 * the same questions the same way: that is how a change finds the proxies it touches, without a list of dependencies kept by hand.
 *
 * Results shared through `once` are worked out once per underlying topology, and bring the questions they rest on along.
 */
export function trackReads(base: Topology): { readonly topology: Topology; readonly reads: Reads } {
  const reads = new Map<string, Read>();
  const frames: Map<string, Read>[] = [reads];
  const note = (key: string, read: Read) => {
    for (let depth = frames.length - 1; depth >= 0; depth -= 1) frames[depth]?.set(key, read);
  };
  const read: ReadFunction = (key, question) => {
    const answer = question(base);
    note(key, { ask: question, answer });
    return answer;
  };

  const topology: Topology = {
    get mesh() {
      return mesh;
    },
    get datacenter() {
      return read('datacenter', ask.datacenter);
    },
    get trustDomain() {
      return read('trust-domain', ask.trustDomain);
    },
    intentions: trackIntentions(read),
    get callableServices() {
      return read('callable-services', ask.callableServices);
    },
    callableBy: (source) => read(`callable-by/${source}`, ask.callableBy(source)),
    get destinations() {
      return read('destinations', ask.destinations);
    },
    get outsideVirtualAddresses() {
      return read('outside-virtual-addresses', ask.outsideVirtualAddresses);
    },
    get directlyDialedAddresses() {
      return read('directly-dialed-addresses', ask.directlyDialedAddresses);
    },
    virtualIpOf: (service) => read(`virtual-ip/${service}`, ask.virtualIpOf(service)),
    virtualAddressOwner: (address) => read(`virtual-address-owner/${address}`, ask.virtualAddressOwner(address)),
    get virtualAddresses() {
      return read('virtual-addresses', ask.virtualAddresses);
    },
    get virtualAddressProblems() {
      return read('virtual-address-problems', ask.virtualAddressProblems);
    },
    meshInstancesOf: (service) => read(`mesh-instances/${service}`, ask.meshInstancesOf(service)),
    instancesOf: (service) => read(`instances/${service}`, ask.instancesOf(service)),
    instancesById: (id) => read(`id/${id}`, ask.instancesById(id)),
    settingsOf: (proxy) => read(`settings/${proxy.node}/${proxy.id}`, ask.settingsOf(proxy)),
    orderOf: (instance) => read(`order/${instance.node}/${instance.id}`, ask.orderOf(instance)),
    once(key, compute) {
      const memo = base.once(`tracked/${key}`, () => {
        const frame = new Map<string, Read>();
        frames.push(frame);
        try {
          return { value: compute(), reads: frame as Reads };
        } finally {
          frames.pop();
        }
      });
      for (const [inner, one] of memo.reads) note(inner, one);
      return memo.value;
    },
  };
  const mesh = trackMesh(base.mesh, read);
  return { topology, reads };
}

type ReadFunction = <Answer>(key: string, ask: (topology: Topology) => Answer) => Answer;

/**
 * The questions, made outside of `trackReads`: a question outlives the topology it was first put to, and one made inside would keep that
 * topology, and all that was worked out with it, in memory.
 */
const ask = {
  datacenter: (asked: Topology) => asked.datacenter,
  trustDomain: (asked: Topology) => asked.trustDomain,
  callableServices: (asked: Topology) => asked.callableServices,
  destinations: (asked: Topology) => asked.destinations,
  outsideVirtualAddresses: (asked: Topology) => asked.outsideVirtualAddresses,
  directlyDialedAddresses: (asked: Topology) => asked.directlyDialedAddresses,
  defaultPolicy: (asked: Topology) => asked.intentions.defaultPolicy,
  meshDatacenter: (asked: Topology) => asked.mesh.datacenter,
  allInstances: (asked: Topology) => asked.mesh.instances,
  allEntries: (asked: Topology) => [...asked.mesh.configEntries],
  callableBy: (source: string) => (asked: Topology) => asked.callableBy(source),
  virtualIpOf: (service: string) => (asked: Topology) => asked.virtualIpOf(service),
  virtualAddressOwner: (address: string) => (asked: Topology) => asked.virtualAddressOwner(address),
  virtualAddresses: (asked: Topology) => asked.virtualAddresses,
  virtualAddressProblems: (asked: Topology) => asked.virtualAddressProblems,
  manualVirtualIps: (service: string) => (asked: Topology) => asked.mesh.manualVirtualIps.get(service),
  meshInstancesOf: (service: string) => (asked: Topology) => asked.meshInstancesOf(service),
  instancesOf: (service: string) => (asked: Topology) => asked.instancesOf(service),
  instancesById: (id: string) => (asked: Topology) => asked.instancesById(id),
  settingsOf: (proxy: Instance) => (asked: Topology) => asked.settingsOf(proxy),
  orderOf: (instance: Instance) => (asked: Topology) => asked.orderOf(instance),
  intentionsFor: (destination: string) => (asked: Topology) => asked.intentions.intentionsFor(destination),
  decide: (source: string, destination: string) => (asked: Topology) => asked.intentions.decide(source, destination),
  mayCall: (source: string, destination: string) => (asked: Topology) => asked.intentions.mayCall(source, destination),
  entry:
    <Kind extends ConfigEntryKind>(kind: Kind, name: string) =>
    (asked: Topology) =>
      asked.mesh.configEntries.get(kind, name),
  entries:
    <Kind extends ConfigEntryKind>(kind: Kind) =>
    (asked: Topology) =>
      asked.mesh.configEntries.ofKind(kind),
};

function trackIntentions(read: ReadFunction): Intentions {
  return {
    get defaultPolicy() {
      return read('default-policy', ask.defaultPolicy);
    },
    intentionsFor: (destination) => read(`intentions/${destination}`, ask.intentionsFor(destination)),
    decide: (source, destination) => read(`decide/${source}/${destination}`, ask.decide(source, destination)),
    mayCall: (source, destination) => read(`may-call/${source}/${destination}`, ask.mayCall(source, destination)),
    destinationsOf: (source) => {
      // the candidates are somebody's own; only the whole answer could be asked for again
      throw new Error(`ask callableBy('${source}') instead`);
    },
  };
}

function trackMesh(mesh: Mesh, read: ReadFunction): Mesh {
  return {
    get datacenter() {
      return read('mesh-datacenter', ask.meshDatacenter);
    },
    ...(mesh.trustDomain === undefined ? {} : { trustDomain: mesh.trustDomain }),
    get defaultIntentionPolicy() {
      return read('default-policy', ask.defaultPolicy);
    },
    get instances() {
      return read('all-instances', ask.allInstances);
    },
    configEntries: new TrackedConfigEntries(read),
    pinnedVirtualIps: mesh.pinnedVirtualIps,
    serviceNames: mesh.serviceNames,
    manualVirtualIps: new TrackedMap((service: string) => read(`manual/${service}`, ask.manualVirtualIps(service))),
    problems: [],
  };
}

class TrackedConfigEntries extends ConfigEntries {
  readonly #read: ReadFunction;

  constructor(read: ReadFunction) {
    super();
    this.#read = read;
  }

  override get<Kind extends ConfigEntryKind>(kind: Kind, name: string): EntryOfKind<Kind> | undefined {
    return this.#read(`entry/${kind}/${name}`, ask.entry(kind, name));
  }

  override ofKind<Kind extends ConfigEntryKind>(kind: Kind): EntryOfKind<Kind>[] {
    return this.#read(`entries/${kind}`, ask.entries(kind));
  }

  override [Symbol.iterator](): Iterator<ConfigEntry> {
    return this.#read('all-entries', ask.allEntries)[Symbol.iterator]();
  }
}

/** A map that can only be asked for one key at a time. */
class TrackedMap<Value> extends Map<string, Value> {
  readonly #get: (key: string) => Value | undefined;

  constructor(get: (key: string) => Value | undefined) {
    super();
    this.#get = get;
  }

  override get(key: string): Value | undefined {
    return this.#get(key);
  }
}
