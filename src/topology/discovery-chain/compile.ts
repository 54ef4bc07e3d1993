import type { Problem } from '../../mesh/problem.ts';
import type { ServiceSplitter } from '../../mesh/schema/service-splitter.ts';
import { isHttp } from '../proxy-settings.ts';
import { type ChainNode, type ChainRequest, type ChainRoute, type ChainSplit, type CompiledChain, isHashBased, type SplitterNode } from './chain.ts';
import { chainSubject, circularSplit, needsHttp, tooManySplits } from './chain-problem.ts';
import { customizationHash } from './customization-hash.ts';
import { multiplySplits, normalizeWeight } from './flatten-splits.ts';
import { ResolverNodes } from './resolve-nodes.ts';

/** More ends than this are not a traffic split but a mistake; each level of splitters multiplies them. */
const MAX_SPLITS = 10_000;

/** Without a `chain` the service cannot be reached as it is configured, and must be refused rather than misrouted. */
export interface ChainResult {
  readonly chain?: CompiledChain;
  readonly problems: readonly Problem[];
}

/**
 * Compiles what service-router, service-splitter and service-resolver entries make of calls to a service. Reads the entries of
 * the services in the chain and no others. Rules: Consul's documentation of the three kinds, and what Consul 1.22 does.
 */
export function compileDiscoveryChain(request: ChainRequest): ChainResult {
  return new ChainCompiler(request).compile();
}

class ChainCompiler {
  readonly #request: ChainRequest;
  readonly #problems: Problem[] = [];
  readonly #resolvers: ResolverNodes;
  readonly #splitters = new Map<string, SplitterNode>();
  /** The splitters on the way down to the one at hand: meeting one of them again is a circle. */
  readonly #path: string[] = [];
  /** The caller asked for a protocol without requests, so there is nothing to route or split. */
  readonly #flat: boolean;
  #ignoredRoutes = false;
  #usesRequests = false;

  constructor(request: ChainRequest) {
    this.#request = request;
    this.#flat = Boolean(request.overrides?.protocol) && !isHttp(request.overrides?.protocol ?? '');
    this.#resolvers = new ResolverNodes(request, (problem) => this.#report(problem));
  }

  compile(): ChainResult {
    const { service, datacenter, overrides } = this.#request;
    const top = this.#router() ?? this.#splitterOrResolver(service);
    const protocol = this.#resolvers.protocol ?? 'tcp';
    if (this.#usesRequests && this.#resolvers.protocol && !isHttp(protocol)) this.#report(needsHttp(service, protocol));
    if (!top || this.#problems.some((problem) => problem.severity === 'error')) return { problems: this.#problems };

    const customizedBy = { ...this.#resolvers.customizedBy, ...this.#protocolCustomization(protocol) };
    const nodes = new Map<string, ChainNode>([...this.#reachableSplitters(top), ...this.#resolvers.nodes]);
    const start = typeof top === 'string' ? top : `router:${service}.default.default`;
    if (typeof top !== 'string') nodes.set(start, { type: 'router', routes: top });
    const startNode = nodes.get(start);
    const chain: CompiledChain = {
      service,
      datacenter,
      protocol: overrides?.protocol || protocol,
      default: startNode?.type === 'resolver' && startNode.default && this.#resolvers.targets.get(startNode.target)?.service === service,
      ...(Object.keys(customizedBy).length > 0 && { customization_hash: customizationHash(customizedBy) }),
      start_node: start,
      nodes,
      targets: this.#resolvers.targets,
    };
    return { chain, problems: this.#problems };
  }

  #report(problem: Omit<Problem, 'about'>): void {
    this.#problems.push({ ...problem, about: chainSubject(this.#request.entries, this.#request.service) });
  }

  #protocolCustomization(protocol: string): { protocol?: string } {
    const override = this.#request.overrides?.protocol;
    return override && (override !== protocol || this.#ignoredRoutes) ? { protocol: override } : {};
  }

  /** The routes of the service's own router; routers of services further down do not count. */
  #router(): ChainRoute[] | undefined {
    const { entries, service } = this.#request;
    const router = entries.get('service-router', service);
    if (!router) return undefined;
    if (this.#flat) {
      this.#ignoredRoutes = true;
      return undefined;
    }
    this.#usesRequests = true;
    this.#resolvers.recordProtocol(service);
    const routes = router.routes.map(({ match, destination }) => ({
      ...(match && { match }),
      ...(destination && { destination }),
      next_node: destination?.service_subset
        ? this.#resolver(destination.service || service, destination.service_subset)
        : this.#splitterOrResolver(destination?.service || service),
    }));
    // What no route matches goes to the service itself.
    routes.push({ next_node: this.#splitterOrResolver(service) });
    return routes.filter((route): route is ChainRoute => route.next_node !== undefined);
  }

  #splitterOrResolver(service: string): string | undefined {
    return this.#splitter(service) ?? this.#resolver(service, '');
  }

  #resolver(service: string, subset: string): string | undefined {
    return this.#resolvers.resolve({ service, service_subset: subset, datacenter: this.#request.datacenter });
  }

  /** The name of the service's splitter, compiled and flat; `undefined` if it has none. */
  #splitter(service: string): string | undefined {
    const name = `splitter:${service}.default.default`;
    if (this.#splitters.has(name)) return name;
    const splitter = this.#request.entries.get('service-splitter', service);
    if (!splitter) return undefined;
    if (this.#flat) {
      this.#ignoredRoutes = true;
      return undefined;
    }
    this.#usesRequests = true;
    if (this.#path.includes(name)) {
      this.#report(circularSplit([...this.#path, name]));
      return name;
    }
    this.#path.push(name);
    this.#splitters.set(name, this.#splits(splitter));
    this.#path.pop();
    return name;
  }

  #splits(splitter: ServiceSplitter): SplitterNode {
    const splits: ChainSplit[] = [];
    let loadBalancer: SplitterNode['load_balancer'];
    for (const { weight, service = splitter.name, service_subset = '', request_headers, response_headers } of splitter.splits) {
      const share = { weight: normalizeWeight(weight), ...(request_headers && { request_headers }), ...(response_headers && { response_headers }) };
      const nested = service !== splitter.name && !service_subset ? this.#splitter(service) : undefined;
      if (nested) {
        splits.push(...multiplySplits({ ...share, next_node: nested }, this.#splitters.get(nested)?.splits ?? []));
      } else {
        const next = this.#resolver(service, service_subset);
        if (!next) continue;
        splits.push({ ...share, next_node: next });
        const own = this.#resolvers.nodes.get(next)?.load_balancer;
        if (!loadBalancer && isHashBased(own)) loadBalancer = own;
      }
      if (splits.length > MAX_SPLITS) {
        this.#report(tooManySplits(splitter.name, MAX_SPLITS));
        break;
      }
    }
    return { type: 'splitter', splits, ...(loadBalancer && { load_balancer: loadBalancer }) };
  }

  /** Splitters that were only met inside others are gone: their splits stand in those. */
  #reachableSplitters(top: string | readonly ChainRoute[]): [string, ChainNode][] {
    const names = new Set(typeof top === 'string' ? [top] : top.map((route) => route.next_node));
    return [...this.#splitters].filter(([name]) => names.has(name));
  }
}
