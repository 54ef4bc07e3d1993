import type { Instance } from '../mesh/instance.ts';
import type { EntryLookup } from '../mesh/mesh.ts';
import type { ConfigEntryKind, EntryOfKind } from '../mesh/schema/config-entry.ts';
import { sameName } from '../mesh/service-names.ts';
import type { Realm } from '../mesh/spiffe-id.ts';
import type { QuerySource } from '../query/query-store.ts';
import type { Intentions } from './intentions.ts';

/** Facts from outside the mesh: the trust domain of the CA, and the virtual IPs that were allocated. */
export interface TopologyFacts {
  readonly trustDomain: string;
  /** Service → its virtual IP. */
  readonly virtualIps: ReadonlyMap<string, string>;
}

/**
 * The questions that derived values may put to a mesh. Every answer is noted by the store, and a change of the mesh touches only values that
 * were derived from an answer that differs. So there is no question here that is not noted, and none that is wider than a value needs.
 */
export interface Topology extends Realm, QuerySource {
  readonly entries: EntryLookup;
  /** In the order of writing. A value derived from this changes with every entry of the kind: prefer `entries`. */
  entriesOfKind<Kind extends ConfigEntryKind>(kind: Kind): readonly EntryOfKind<Kind>[];
  readonly defaultIntentionPolicy: 'allow' | 'deny';
  /** The destinations that an intention lets this caller call, exact names only. Another intention may still deny one of them. */
  permittedTo(caller: string): ReadonlySet<string>;
  /** Who may call whom. */
  readonly intentions: Intentions;
  /** Every name that can be called as a service: what is registered, and what merely has a virtual IP (routers, redirects, …). */
  readonly callableServices: readonly string[];
  isCallable(service: string): boolean;
  /** The sidecars and Connect-native instances of a service. In the order of writing. See `meshInstancesOf`. */
  ownMeshInstancesOf(service: string): readonly Instance[];
  /** Services with sidecars or Connect-native instances. */
  readonly meshServices: readonly string[];
  readonly terminatingGateways: readonly Instance[];
  /** The ordinary instances of a service. */
  instancesOf(service: string): readonly Instance[];
  instancesById(id: string): readonly Instance[];
  /** Sidecars and Connect-native instances that others reach by this address. In the order of writing. */
  meshInstancesAt(address: string): readonly Instance[];
  /** Services with instances, in the mesh or not, on hosts with this address in its normal form. */
  servicesAt(address: string): readonly string[];
  virtualIpOf(service: string): string | undefined;
  /** The service that an address in its normal form was handed out to, or else is managed for. */
  holderOf(address: string): string | undefined;
  /** Virtual IPs managed outside. */
  manualVirtualIpsOf(service: string): readonly string[];
  /** Services that have some. */
  readonly servicesWithManualVirtualIps: readonly string[];
}

/** Instances with this ID: at most one per node. */
export function findInstances(topology: Topology, id: string, nodeName?: string): Instance[] {
  return topology.instancesById(id).filter(({ node }) => nodeName === undefined || sameName(node, nodeName));
}

/** Sidecars with this ID: at most one per node. */
export function findProxies(topology: Topology, id: string, nodeName?: string): Instance[] {
  return findInstances(topology, id, nodeName).filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy !== undefined);
}
