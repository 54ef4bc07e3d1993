import type { EntryLookup } from '../../mesh/mesh.ts';
import type { HttpHeaderModifiers } from '../../mesh/schema/http-header-modifiers.ts';
import type { LoadBalancer } from '../../mesh/schema/service-resolver.ts';
import type { ServiceRoute } from '../../mesh/schema/service-router.ts';

/** `''`: no mode was chosen. Inside one datacenter none of them matters. */
export type MeshGatewayMode = '' | 'none' | 'local' | 'remote';

/** What a caller sets of its own accord for a chain, by its registration or its service-defaults' upstream_config. */
export interface ChainOverrides {
  readonly protocol?: string;
  readonly connect_timeout_ms?: number;
  readonly mesh_gateway_mode?: MeshGatewayMode;
}

/** What to compile. */
export interface ChainRequest {
  readonly service: string;
  readonly entries: EntryLookup;
  readonly datacenter: string;
  readonly trustDomain: string;
  readonly overrides?: ChainOverrides;
}

/**
 * How calls to a service find their instances: an optional router, then splitters, then resolvers, each of which ends at a
 * target. Nodes and targets bear the names that Consul gives them, and hold the fields that its API shows.
 */
export interface CompiledChain {
  readonly service: string;
  /** Where the chain was compiled for; targets without a datacenter of their own are here. */
  readonly datacenter: string;
  readonly protocol: string;
  /** Nothing but the service itself, resolved without any setting. Such a chain needs no routes of its own. */
  readonly default: boolean;
  /** 8 hexadecimal digits where an override changed the outcome; prefixes the names of its clusters. */
  readonly customization_hash?: string;
  readonly start_node: string;
  readonly nodes: ReadonlyMap<string, ChainNode>;
  readonly targets: ReadonlyMap<string, ChainTarget>;
}

export type ChainNode = RouterNode | SplitterNode | ResolverNode;

export interface RouterNode {
  readonly type: 'router';
  /** In order; the last one catches what no other matched. */
  readonly routes: readonly ChainRoute[];
}

export interface ChainRoute {
  readonly match?: ServiceRoute['match'];
  readonly destination?: ServiceRoute['destination'];
  /** A splitter or a resolver. */
  readonly next_node: string;
}

export interface SplitterNode {
  readonly type: 'splitter';
  readonly splits: readonly ChainSplit[];
  /** The first hash-based one among the resolvers of the splits, because all splits share one route. */
  readonly load_balancer?: LoadBalancer;
}

export interface ChainSplit {
  /** Percent, in steps of 0.01. Flattened splits may sum to a little more or less than 100. */
  readonly weight: number;
  readonly request_headers?: HttpHeaderModifiers;
  readonly response_headers?: HttpHeaderModifiers;
  /** Always a resolver: splits of splits are flattened. */
  readonly next_node: string;
}

export interface ResolverNode {
  readonly type: 'resolver';
  /** The resolver sets nothing. */
  readonly default: boolean;
  /** ID of the target. */
  readonly target: string;
  readonly connect_timeout_ms: number;
  /** Counts only where the chain begins with this node. */
  readonly request_timeout_ms?: number;
  readonly load_balancer?: LoadBalancer;
  /** IDs of further targets, in the order in which they are tried once no instance of the first is healthy. */
  readonly failover?: readonly string[];
}

/** A set of instances: a service, perhaps a subset of it, in one datacenter. */
export interface ChainTarget {
  /** `[<subset>.]<service>.default.default.<datacenter>` */
  readonly id: string;
  readonly service: string;
  /** `''`: all instances. */
  readonly service_subset: string;
  readonly datacenter: string;
  readonly subset: { readonly filter: string; readonly only_passing: boolean };
  readonly mesh_gateway: { readonly mode: MeshGatewayMode };
  readonly transparent_proxy: { readonly dialed_directly: boolean };
  /** Has an SNI of its own choice, by service-defaults' external_sni. */
  readonly external: boolean;
  readonly sni: string;
  /** What its cluster is called, without the chain's prefix. */
  readonly name: string;
  readonly connect_timeout_ms: number;
}

export function isHashBased(loadBalancer: LoadBalancer | undefined): loadBalancer is LoadBalancer {
  return loadBalancer?.policy === 'ring_hash' || loadBalancer?.policy === 'maglev';
}

/** The node by its name. Compiled chains hold every node they name, so a missing one is a bug here. */
export function chainNode(chain: CompiledChain, name: string): ChainNode {
  const node = chain.nodes.get(name);
  if (!node) throw new Error(`the chain of ${chain.service} lacks the node ${name}`);
  return node;
}

/** The target by its ID; see `chainNode`. */
export function chainTarget(chain: CompiledChain, id: string): ChainTarget {
  const target = chain.targets.get(id);
  if (!target) throw new Error(`the chain of ${chain.service} lacks the target ${id}`);
  return target;
}
