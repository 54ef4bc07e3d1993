import type { LoadBalancer } from '../mesh/schema/service-resolver.ts';
import type { envoy_config_cluster_v3_Cluster as Cluster } from '../proto/generated/types.ts';
import { type ChainTarget, type CompiledChain, chainNode, chainTarget, type ResolverNode } from '../topology/discovery-chain/chain.ts';
import { failoverClusterName } from './names.ts';

/** What a cluster must be for a resolver of a chain to work; how it is built is the cluster builder's affair. */
export type ChainCluster = ChainTargetCluster | ChainFailoverCluster;

/** The instances of one target. */
export interface ChainTargetCluster {
  readonly type: 'target';
  readonly name: string;
  /** Whose instances, under which identity and SNI, and in which datacenter. */
  readonly target: ChainTarget;
  /** That of the resolver, also for what it fails over to. */
  readonly connectTimeoutMs: number;
  readonly loadBalancer: LoadBalancer | undefined;
}

/** No instances of its own: the first of its members that has a healthy one. */
export interface ChainFailoverCluster {
  readonly type: 'failover';
  readonly name: string;
  readonly connectTimeoutMs: number;
  /** In the order in which they are tried; each is a target cluster of this chain. */
  readonly members: readonly string[];
}

/** The name of the cluster that stands for a target of this chain: routes and TCP chains point to it. */
export function chainClusterName(chain: CompiledChain, target: string): string {
  const { name } = chainTarget(chain, target);
  return chain.customization_hash ? `${chain.customization_hash}~${name}` : name;
}

/** The one cluster of a chain that neither routes nor splits: where TCP connections go. */
export function tcpClusterOf(chain: CompiledChain): string {
  const start = chainNode(chain, chain.start_node);
  if (start.type !== 'resolver') throw new Error(`the chain of ${chain.service} has routes, which ${chain.protocol} does not know`);
  return chainClusterName(chain, start.target);
}

/** Every cluster of a chain. Chains that share a target may name the same cluster, then with the same contents but for settings of the caller. */
export function chainClusters(chain: CompiledChain): ChainCluster[] {
  return [...chain.nodes.values()].flatMap((node) => (node.type === 'resolver' ? clustersOf(chain, node) : []));
}

function clustersOf(chain: CompiledChain, node: ResolverNode): ChainCluster[] {
  const name = chainClusterName(chain, node.target);
  const shared = { connectTimeoutMs: node.connect_timeout_ms, loadBalancer: node.load_balancer };
  if (!node.failover) return [{ type: 'target', name, target: chainTarget(chain, node.target), ...shared }];
  const members = [node.target, ...node.failover].map(
    (id, n): ChainTargetCluster => ({ type: 'target', name: failoverClusterName(n, name), target: chainTarget(chain, id), ...shared }),
  );
  return [{ type: 'failover', name, connectTimeoutMs: node.connect_timeout_ms, members: members.map((member) => member.name) }, ...members];
}

/** How a target's cluster chooses an instance. Without a policy: Envoy's round robin. */
export function buildLoadBalancing(loadBalancer: LoadBalancer | undefined): Pick<Cluster, 'lb_policy' | 'least_request_lb_config' | 'ring_hash_lb_config'> {
  switch (loadBalancer?.policy) {
    case 'least_request':
      return { lb_policy: 'LEAST_REQUEST', ...leastRequestConfig(loadBalancer) };
    case 'ring_hash':
      return { lb_policy: 'RING_HASH', ...ringHashConfig(loadBalancer) };
    case 'maglev':
      return { lb_policy: 'MAGLEV' };
    case 'random':
      return { lb_policy: 'RANDOM' };
    default:
      return {};
  }
}

function leastRequestConfig({ least_request_config: config }: LoadBalancer): Pick<Cluster, 'least_request_lb_config'> {
  return config?.choice_count ? { least_request_lb_config: { choice_count: config.choice_count } } : {};
}

/** A largest size without a smallest one: Envoy's own smallest may be larger, and it would refuse the cluster. Hence 0. */
function ringHashConfig({ ring_hash_config: config }: LoadBalancer): Pick<Cluster, 'ring_hash_lb_config'> {
  if (!config) return {};
  const { minimum_ring_size = 0, maximum_ring_size } = config;
  return { ring_hash_lb_config: { minimum_ring_size, ...(maximum_ring_size && { maximum_ring_size }) } };
}
