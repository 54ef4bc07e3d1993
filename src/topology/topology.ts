import type { Instance } from '../mesh/instance.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { Problem } from '../mesh/problem.ts';
import { sameName } from '../mesh/service-names.ts';
import type { Realm } from '../mesh/spiffe-id.ts';
import type { DestinationService } from './destinations.ts';
import type { Intentions } from './intentions.ts';
import type { ProxySettings } from './proxy-settings.ts';

/** What a mesh does not say itself. */
export interface TopologyFacts {
  readonly trustDomain: string;
  /** Service → its virtual IP. */
  readonly virtualIps: ReadonlyMap<string, string>;
}

/**
 * A mesh, indexed once so that the view of a proxy costs what its own upstreams cost, not what the mesh does. Immutable to its
 * users; what is expensive and shared by several proxies is worked out on first use and kept.
 */
export interface Topology extends Realm {
  readonly mesh: Mesh;
  readonly intentions: Intentions;
  /** Every name that can be called as a service: what is registered, and what merely has a virtual IP (routers, redirects, …). */
  readonly callableServices: ReadonlySet<string>;
  /** Those of the callable services that intentions let `source` call, in no particular order; it may be among them itself. */
  callableBy(source: string): readonly string[];
  /** Services that stand for addresses outside the mesh (`destination` of their service-defaults). */
  readonly destinations: ReadonlyMap<string, DestinationService>;
  /** Whoever accepts mutual TLS for a service: its sidecars, Connect-native instances, terminating gateways. In the order of writing. */
  meshInstancesOf(service: string): readonly Instance[];
  /** The ordinary instances of a service. */
  instancesOf(service: string): readonly Instance[];
  /** Virtual addresses that are not in the range of virtual IPs: manual ones, Kubernetes' cluster IPs, IPv6. */
  readonly outsideVirtualAddresses: readonly string[];
  /** Addresses of instances that callers dial directly. */
  readonly directlyDialedAddresses: readonly string[];
  virtualIpOf(service: string): string | undefined;
  /** The one service that a virtual address means. */
  virtualAddressOwner(address: string): string | undefined;
  /** All that are known, also those that several services claim and that mean none of them. */
  readonly virtualAddresses: readonly string[];
  /** Who claims a virtual address that is not its own. */
  readonly virtualAddressProblems: readonly Problem[];
  instancesById(id: string): readonly Instance[];
  settingsOf(proxy: Instance): ProxySettings;
  /** Where the instance stands in the order of writing; the later of two wins an address both claim. */
  orderOf(instance: Instance): number;
  /** The result of `compute` for this key, worked out once. */
  once<Value>(key: string, compute: () => Value): Value;
}

/** Instances with this ID: at most one per node. */
export function findInstances(topology: Topology, id: string, nodeName?: string): Instance[] {
  return topology.instancesById(id).filter(({ node }) => nodeName === undefined || sameName(node, nodeName));
}

/** Sidecars with this ID: at most one per node. */
export function findProxies(topology: Topology, id: string, nodeName?: string): Instance[] {
  return findInstances(topology, id, nodeName).filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy !== undefined);
}
