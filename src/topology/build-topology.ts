import type { Instance } from '../mesh/instance.ts';
import { locateProblem } from '../mesh/locate-problem.ts';
import type { EntryLookup, Mesh } from '../mesh/mesh.ts';
import type { Problem } from '../mesh/problem.ts';
import type { ConfigEntryKind, EntryOfKind } from '../mesh/schema/config-entry.ts';
import { type Input, QueryStore, type Watch } from '../query/query-store.ts';
import type { Intentions } from './intentions.ts';
import { changedKinds, entryKey, type InstanceLookup, MeshIndex } from './mesh-index.ts';
import type { Topology, TopologyFacts } from './topology.ts';
import { TrackedIntentions } from './tracked-intentions.ts';
import { virtualAddressProblems } from './virtual-address-owners.ts';

/** A list that there is one of in a mesh: the input needs no key. */
const ONLY = '';

/** A topology of one mesh after another. What was derived from it and is not touched by an update stays, the very same objects. */
export class MeshTopology implements Topology {
  readonly store = new QueryStore();
  readonly entries: EntryLookup;
  readonly intentions: Intentions;
  readonly #index = new MeshIndex();
  #virtualAddressProblems: Watch<readonly Problem[]> | undefined;
  readonly #inputs = inputsOf(this.#index);

  constructor(mesh: Mesh, facts: TopologyFacts) {
    this.#index.update(mesh, facts);
    const get = (kind: ConfigEntryKind, name: string) => this.store.read(this.#inputs.entry, entryKey(kind, name));
    this.entries = { get: get as EntryLookup['get'] };
    this.intentions = new TrackedIntentions(this);
  }

  /**
   * The mesh as it is, for operators and for places. Nothing may be derived from it: what is read here is not noted. Values are derived by
   * functions of a `Topology`, which does not have it.
   */
  get mesh(): Mesh {
    return this.#index.mesh;
  }

  get datacenter(): string {
    return this.store.read(this.#inputs.datacenter, ONLY);
  }

  get trustDomain(): string {
    return this.store.read(this.#inputs.trustDomain, ONLY);
  }

  get defaultIntentionPolicy(): 'allow' | 'deny' {
    return this.store.read(this.#inputs.defaultPolicy, ONLY);
  }

  get callableServices(): readonly string[] {
    return this.store.read(this.#inputs.callableServices, ONLY);
  }

  get meshServices(): readonly string[] {
    return this.store.read(this.#inputs.meshServices, ONLY);
  }

  get terminatingGateways(): readonly Instance[] {
    return this.store.read(this.#inputs.gatewayKind, 'terminating-gateway');
  }

  get servicesWithManualVirtualIps(): readonly string[] {
    return this.store.read(this.#inputs.manualServices, ONLY);
  }

  permittedTo(caller: string): ReadonlySet<string> {
    return this.store.read(this.#inputs.permitted, caller);
  }

  entriesOfKind<Kind extends ConfigEntryKind>(kind: Kind): readonly EntryOfKind<Kind>[] {
    return this.store.read(this.#inputs.entriesOfKind, kind) as readonly EntryOfKind<Kind>[];
  }

  isCallable(service: string): boolean {
    return this.store.read(this.#inputs.callable, service);
  }

  ownMeshInstancesOf(service: string): readonly Instance[] {
    return this.store.read(this.#inputs.meshService, service);
  }

  instancesOf(service: string): readonly Instance[] {
    return this.store.read(this.#inputs.service, service);
  }

  instancesById(id: string): readonly Instance[] {
    return this.store.read(this.#inputs.id, id);
  }

  meshInstancesAt(address: string): readonly Instance[] {
    return this.store.read(this.#inputs.address, address);
  }

  /** All instances of the services of this name, however it is written. */
  instancesNamed(lowerCaseName: string): readonly Instance[] {
    return this.store.read(this.#inputs.lowerCaseService, lowerCaseName);
  }

  virtualIpOf(service: string): string | undefined {
    return this.store.read(this.#inputs.virtualIp, service);
  }

  manualVirtualIpsOf(service: string): readonly string[] {
    return this.store.read(this.#inputs.manualVirtualIps, service);
  }

  servicesAt(address: string): readonly string[] {
    return [...new Set(this.store.read(this.#inputs.host, address).map(({ service, proxy }) => proxy?.destination_service_name || service))];
  }

  holderOf(address: string): string | undefined {
    return this.store.read(this.#inputs.holder, address);
  }

  /** Who claims a virtual address that is not its own. */
  virtualAddressProblems(): Problem[] {
    this.#virtualAddressProblems ??= this.store.watch(
      () => virtualAddressProblems(this),
      () => {},
    );
    return this.#virtualAddressProblems.get().map((problem) => locateProblem(problem, this.mesh));
  }

  /** Goes on with the next mesh. */
  update(mesh: Mesh, facts: TopologyFacts): ReadonlySet<string> {
    const inputs = this.#inputs;
    const difference = this.#index.update(mesh, facts);
    this.store.update((changed) => {
      for (const input of [inputs.datacenter, inputs.trustDomain, inputs.defaultPolicy]) changed(input, [ONLY]);
      for (const [lookup, keys] of Object.entries(difference.instances)) changed(inputs[lookup as InstanceLookup], keys);
      changed(inputs.entry, difference.entries);
      changed(inputs.entriesOfKind, difference.entryKinds);
      changed(inputs.permitted, difference.callers);
      changed(inputs.virtualIp, difference.virtualIps);
      changed(inputs.manualVirtualIps, difference.manualVirtualIps);
      changed(inputs.holder, difference.held);
      changed(inputs.callable, [...difference.instances.service, ...difference.virtualIps]);
      if (difference.instances.service.size + difference.virtualIps.size > 0) changed(inputs.callableServices, [ONLY]);
      if (difference.instances.meshService.size > 0) changed(inputs.meshServices, [ONLY]);
      if (difference.manualVirtualIps.size > 0) changed(inputs.manualServices, [ONLY]);
    });
    return changedKinds(difference);
  }
}

export function buildTopology(mesh: Mesh, facts: TopologyFacts): MeshTopology {
  return new MeshTopology(mesh, facts);
}

function inputsOf(index: MeshIndex) {
  const instances = (lookup: InstanceLookup): Input<readonly Instance[]> => ({ name: `instances by ${lookup}`, lookUp: (key) => index.instances(lookup, key) });
  const single = <Value>(name: string, lookUp: () => Value): Input<Value> => ({ name, lookUp });
  return {
    datacenter: single('datacenter', () => index.mesh.datacenter),
    trustDomain: single('trust domain', () => index.facts.trustDomain),
    defaultPolicy: single('default intention policy', () => index.mesh.defaultIntentionPolicy),
    id: instances('id'),
    service: instances('service'),
    meshService: instances('meshService'),
    address: instances('address'),
    host: instances('host'),
    gatewayKind: instances('gatewayKind'),
    lowerCaseService: instances('lowerCaseService'),
    callable: { name: 'callable', lookUp: (service) => index.has('service', service) || index.facts.virtualIps.has(service) } as Input<boolean>,
    callableServices: single('callable services', (): readonly string[] => [...new Set([...index.keys('service'), ...index.facts.virtualIps.keys()])]),
    meshServices: single('services with sidecars', (): readonly string[] => [...index.keys('meshService')]),
    entry: { name: 'config entry', lookUp: (key) => entryAt(index.mesh, key) } as Input<unknown>,
    entriesOfKind: { name: 'config entries', lookUp: (kind) => index.mesh.configEntries.ofKind(kind as ConfigEntryKind) } as Input<readonly unknown[]>,
    permitted: { name: 'intentions that name a caller', lookUp: (caller) => index.permittedTo(caller) } as Input<ReadonlySet<string>>,
    virtualIp: { name: 'virtual IP', lookUp: (service) => index.facts.virtualIps.get(service) } as Input<string | undefined>,
    manualVirtualIps: { name: 'manual virtual IPs', lookUp: (service) => index.mesh.manualVirtualIps.get(service) ?? [] } as Input<readonly string[]>,
    holder: { name: 'holder of an address', lookUp: (address) => index.holderOf(address) } as Input<string | undefined>,
    manualServices: single('services with manual virtual IPs', (): readonly string[] => [...index.mesh.manualVirtualIps.keys()]),
  };
}

function entryAt({ configEntries }: Mesh, key: string): unknown {
  const slash = key.indexOf('/');
  return configEntries.get(key.slice(0, slash) as ConfigEntryKind, key.slice(slash + 1));
}
