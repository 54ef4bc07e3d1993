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
  const read = <Answer>(key: string, ask: (topology: Topology) => Answer): Answer => {
    const answer = ask(base);
    note(key, { ask, answer });
    return answer;
  };

  const topology: Topology = {
    get mesh() {
      return mesh;
    },
    get datacenter() {
      return read('datacenter', (asked) => asked.datacenter);
    },
    get trustDomain() {
      return read('trust-domain', (asked) => asked.trustDomain);
    },
    intentions: trackIntentions(base, read),
    get callableServices() {
      return read('callable-services', (asked) => asked.callableServices);
    },
    callableBy: (source) => read(`callable-by/${source}`, (asked) => asked.callableBy(source)),
    get destinations() {
      return read('destinations', (asked) => asked.destinations);
    },
    get outsideVirtualAddresses() {
      return read('outside-virtual-addresses', (asked) => asked.outsideVirtualAddresses);
    },
    get directlyDialedAddresses() {
      return read('directly-dialed-addresses', (asked) => asked.directlyDialedAddresses);
    },
    virtualIpOf: (service) => read(`virtual-ip/${service}`, (asked) => asked.virtualIpOf(service)),
    meshInstancesOf: (service) => read(`mesh-instances/${service}`, (asked) => asked.meshInstancesOf(service)),
    instancesOf: (service) => read(`instances/${service}`, (asked) => asked.instancesOf(service)),
    instancesById: (id) => read(`id/${id}`, (asked) => asked.instancesById(id)),
    settingsOf: (proxy) => read(`settings/${proxy.node}/${proxy.id}`, (asked) => asked.settingsOf(proxy)),
    orderOf: (instance) => read(`order/${instance.node}/${instance.id}`, (asked) => asked.orderOf(instance)),
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

function trackIntentions(base: Topology, read: ReadFunction): Intentions {
  return {
    get defaultPolicy() {
      return read('default-policy', ({ intentions }) => intentions.defaultPolicy);
    },
    intentionsFor: (destination) => read(`intentions/${destination}`, ({ intentions }) => intentions.intentionsFor(destination)),
    decide: (source, destination) => read(`decide/${source}/${destination}`, ({ intentions }) => intentions.decide(source, destination)),
    mayCall: (source, destination) => read(`may-call/${source}/${destination}`, ({ intentions }) => intentions.mayCall(source, destination)),
    destinationsOf: (source, candidates) => {
      // the candidates are somebody's own; only the whole answer could be asked for again
      throw new Error(`ask callableBy('${source}') instead, for ${candidates.size} candidates of ${base.datacenter}`);
    },
  };
}

function trackMesh(mesh: Mesh, read: ReadFunction): Mesh {
  const entries = new TrackedConfigEntries(read);
  const manual = new TrackedMap((service: string) => read(`manual/${service}`, (asked) => asked.mesh.manualVirtualIps.get(service)));
  return {
    get datacenter() {
      return read('mesh-datacenter', (asked) => asked.mesh.datacenter);
    },
    ...(mesh.trustDomain === undefined ? {} : { trustDomain: mesh.trustDomain }),
    get defaultIntentionPolicy() {
      return read('default-policy', ({ intentions }) => intentions.defaultPolicy);
    },
    get instances() {
      return read('all-instances', (asked) => asked.mesh.instances);
    },
    configEntries: entries,
    pinnedVirtualIps: mesh.pinnedVirtualIps,
    manualVirtualIps: manual,
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
    return this.#read(`entry/${kind}/${name}`, ({ mesh }) => mesh.configEntries.get(kind, name));
  }

  override ofKind<Kind extends ConfigEntryKind>(kind: Kind): EntryOfKind<Kind>[] {
    return this.#read(`entries/${kind}`, ({ mesh }) => mesh.configEntries.ofKind(kind));
  }

  override [Symbol.iterator](): Iterator<ConfigEntry> {
    return this.#read('all-entries', ({ mesh }) => [...mesh.configEntries])[Symbol.iterator]();
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
