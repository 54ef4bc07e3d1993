import type {
  envoy_config_route_v3_RetryPolicy as RetryPolicy,
  envoy_config_route_v3_Route as Route,
  envoy_config_route_v3_RouteAction as RouteAction,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import { type ChainRoute, type CompiledChain, chainNode, type ResolverNode, type SplitterNode } from '../topology/discovery-chain/chain.ts';
import { envoyWeight } from '../topology/discovery-chain/flatten-splits.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import { chainClusterName } from './chain-cluster.ts';
import { RETRY_CONNECTING } from './connect-retries.ts';
import { envoyDuration } from './duration.ts';
import { buildHashPolicies } from './hash-policy.ts';
import { buildHeaderChanges } from './header-changes.ts';
import { buildRouteMatch, EVERY_REQUEST } from './route-match.ts';
import { escapeRegex } from './spiffe-regex.ts';

type Destination = NonNullable<ChainRoute['destination']>;

/**
 * Whether the routes of an upstream are fetched by name (RDS) or stand in its listener. Consul fetches them wherever requests
 * are understood and any config entry shapes the chain, even if the outcome is a single route.
 */
export function usesRds(chain: CompiledChain): boolean {
  return isHttp(chain.protocol) && !chain.default;
}

/**
 * The routes of a chain with an HTTP protocol. The route configuration bears the upstream's name; the virtual host does so over
 * RDS, and has the chain's statistics name where it stands in the listener.
 */
export function buildUpstreamRoutes(
  chain: CompiledChain,
  names: { readonly routeConfig: string; readonly virtualHost: string },
  { validateClusters = false }: { readonly validateClusters?: boolean } = {},
): RouteConfiguration {
  return {
    name: names.routeConfig,
    virtual_hosts: [{ name: names.virtualHost, domains: ['*'], routes: chainRoutes(chain) }],
    ...(validateClusters && { validate_clusters: true }),
  };
}

function chainRoutes(chain: CompiledChain): Route[] {
  const start = chainNode(chain, chain.start_node);
  switch (start.type) {
    case 'router':
      return start.routes.map((route) => buildRoute(chain, route));
    case 'splitter':
      return [{ match: EVERY_REQUEST, route: actionOf(chain, start) }];
    case 'resolver':
      return [{ match: EVERY_REQUEST, route: { ...actionOf(chain, start), ...timeout('timeout', start.request_timeout_ms) } }];
  }
}

function buildRoute(chain: CompiledChain, { match, destination, next_node }: ChainRoute): Route {
  const next = chainNode(chain, next_node);
  if (next.type === 'router') throw new Error(`the chain of ${chain.service} routes to a router`);
  return {
    match: buildRouteMatch(match),
    route: { ...actionOf(chain, next), ...(destination && destinationSettings(destination, match, splitsIntoFailover(chain, next))) },
    ...(destination && buildHeaderChanges(destination)),
  };
}

/** Where requests go, and what they are spread by. */
function actionOf(chain: CompiledChain, node: SplitterNode | ResolverNode): RouteAction {
  const hashPolicy = buildHashPolicies(node.load_balancer);
  return { ...clustersOf(chain, node), retry_policy: RETRY_CONNECTING, ...(hashPolicy.length > 0 && { hash_policy: hashPolicy }) };
}

function clustersOf(chain: CompiledChain, node: SplitterNode | ResolverNode): RouteAction {
  if (node.type === 'resolver') return { cluster: chainClusterName(chain, node.target) };
  return {
    weighted_clusters: {
      clusters: node.splits.map((split) => ({
        name: chainClusterName(chain, resolverOf(chain, split.next_node).target),
        weight: envoyWeight(split.weight),
        ...buildHeaderChanges(split),
      })),
    },
  };
}

function resolverOf(chain: CompiledChain, name: string): ResolverNode {
  const node = chainNode(chain, name);
  if (node.type !== 'resolver') throw new Error(`the chain of ${chain.service} splits into ${name}, which is no resolver`);
  return node;
}

function splitsIntoFailover(chain: CompiledChain, node: SplitterNode | ResolverNode): boolean {
  return node.type === 'splitter' && node.splits.some((split) => resolverOf(chain, split.next_node).failover !== undefined);
}

function destinationSettings(destination: Destination, match: ChainRoute['match'], failover: boolean): RouteAction {
  const retryPolicy = retryPolicyOf(destination, failover);
  return {
    ...pathRewrite(destination, match),
    ...timeout('timeout', destination.request_timeout),
    ...timeout('idle_timeout', destination.idle_timeout),
    ...(retryPolicy && { retry_policy: retryPolicy }),
  };
}

/**
 * A prefix replaced by `/` needs an expression: plain replacement would make `//x` of `/prefix/x`. An exact path has no prefix
 * to replace; what Consul then writes puts a `/` before the path, and the path stays as it was.
 */
function pathRewrite({ prefix_rewrite }: Destination, match: ChainRoute['match']): RouteAction {
  if (!prefix_rewrite) return {};
  if (prefix_rewrite !== '/') return { prefix_rewrite };
  const { path_exact, path_prefix, path_regex, case_insensitive } = match?.http ?? {};
  const prefix = path_exact ? '' : path_prefix || (path_regex ? '' : '/');
  const flags = case_insensitive ? '(?i)' : '';
  return { regex_rewrite: { pattern: { regex: `${flags}^${escapeRegex(prefix)}(/?)(.*)` }, substitution: '/\\2' } };
}

/** Zero or absent leaves Envoy's default; below zero takes the limit away, which Envoy spells `0s`. */
function timeout(field: 'timeout' | 'idle_timeout', ms: number | undefined): RouteAction {
  return ms ? { [field]: envoyDuration(Math.max(ms, 0)) } : {};
}

/**
 * What a router entry says about retries stands instead of the rule for everybody. A split that may end in a failover cluster keeps retries away
 * from the priorities that were already tried; without that a retry goes to the same dead target.
 */
function retryPolicyOf(destination: Destination, failover: boolean): RetryPolicy | undefined {
  const { num_retries, retry_on, retry_on_connect_failure, retry_on_status_codes } = destination;
  if (!num_retries && !retry_on_connect_failure && retry_on.length === 0 && retry_on_status_codes.length === 0) return undefined;
  const conditions = [
    ...retry_on,
    ...(retry_on_connect_failure && !retry_on.includes('connect-failure') ? ['connect-failure'] : []),
    ...(retry_on_status_codes.length > 0 ? ['retriable-status-codes'] : []),
  ];
  return {
    ...(num_retries && { num_retries }),
    ...(conditions.length > 0 && { retry_on: conditions.join(',') }),
    ...(retry_on_status_codes.length > 0 && { retriable_status_codes: retry_on_status_codes }),
    ...(failover && { retry_priority: PREVIOUS_PRIORITIES }),
  };
}

const PREVIOUS_PRIORITIES: NonNullable<RetryPolicy['retry_priority']> = {
  name: 'envoy.retry_priorities.previous_priorities',
  typed_config: typed('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', { update_frequency: 1 }),
};
