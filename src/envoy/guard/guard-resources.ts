import { RESOURCE_TYPES } from '../../cache/resource.ts';
import type { Problem } from '../../mesh/problem.ts';
import { decode, encode, encodeUnknown } from '../../proto/codec.ts';
import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_listener_v3_FilterChain as FilterChain,
  envoy_config_listener_v3_Listener as Listener,
  Messages,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
} from '../../proto/generated/types.ts';
import type { ProxyView } from '../../topology/proxy-view.ts';
import { closedChain, closedListener } from '../closed-chain.ts';
import { exposedListenerName, LOCAL_APP } from '../names.ts';
import type { EnvoyResource } from '../resource.ts';
import { exposedListenerFault } from './exposed-chain.ts';
import { isGuardedAsBuilt } from './mesh-chain.ts';
import { meshClusterFault } from './mesh-cluster.ts';
import { outboundChainFault, passesOn, routeFault, type SafeTargets, withoutOriginalDestination } from './outbound-chain.ts';
import { type Guarded, guardPublicListener, listenerFault } from './public-listener-guard.ts';

export interface GuardInput {
  readonly view: ProxyView;
  /** The name of the listener that receives for the application, whoever wrote it. */
  readonly publicListener: string;
  /** As adsum built them: what users wrote or changed is what differs. */
  readonly own: readonly EnvoyResource[];
}

/**
 * The last look at a sidecar's resources, after escape hatches and extensions: whatever users made of them, only the public listener and the exposed
 * paths lead to the application, each in the way it was meant to. What would open it closes, and says so; the rest stays as written.
 */
export function guardResources(resources: readonly EnvoyResource[], input: GuardInput): { resources: EnvoyResource[]; problems: Problem[] } {
  const { view, publicListener } = input;
  const problems: Problem[] = [];
  const own = new Map(input.own.map(({ type, name, body }) => [`${type}/${name}`, body]));
  const exposed = new Set(view.inbound.exposedPaths.map(({ path, listenerPort }) => exposedListenerName(path, view.inbound.bindAddress, listenerPort)));
  const isTouched = ({ type, name, body }: EnvoyResource) => own.get(`${type}/${name}`) !== body;
  const settle = <Body extends object>(resource: EnvoyResource, { body, faults }: Guarded<Body>): EnvoyResource => {
    problems.push(...faults.map((fault) => problemOf(view, resource, fault)));
    const unchanged =
      faults.length === 0 && Buffer.compare(encodeUnknown(messageName(resource), body), encodeUnknown(messageName(resource), resource.body)) === 0;
    return unchanged ? resource : { ...resource, body };
  };

  const withClusters = resources.map((resource) => {
    const before = own.get(`cluster/${resource.name}`) as Cluster | undefined;
    if (resource.type !== 'cluster' || !isTouched(resource) || !before || leadsToApplication(resource.name)) return resource;
    const fault = meshClusterFault(canonical('envoy.config.cluster.v3.Cluster', resource.body), before);
    return fault === undefined ? resource : settle(resource, { body: before, faults: [`it stays as adsum built it: as changed ${fault}`] });
  });
  const targets = safeTargets(withClusters, own);
  const withRoutes = withClusters.map((resource) => {
    if (resource.type !== 'route' || !isTouched(resource)) return resource;
    const fault = routeFault(canonical('envoy.config.route.v3.RouteConfiguration', resource.body), targets);
    return fault === undefined ? resource : settle(resource, { body: { name: resource.name, virtual_hosts: [] }, faults: [`it has no routes: ${fault}`] });
  });
  const routes = new Map(withRoutes.filter(({ type }) => type === 'route').map(({ name, body }) => [name, body as RouteConfiguration]));
  const guarded = withRoutes.map((resource) => {
    if (resource.type !== 'listener') return resource;
    const before = own.get(`listener/${resource.name}`) as Listener | undefined;
    if (!isTouched(resource) && (resource.name !== publicListener || isGuardedAsBuilt(view, resource.body))) return resource;
    const listener = canonical('envoy.config.listener.v3.Listener', resource.body);
    if (resource.name === publicListener) return settle(resource, guardPublicListener(view, listener, routes));
    if (!exposed.has(resource.name)) return settle(resource, guardOutboundListener(listener, before, { ...targets, routes }));
    const fault = before ? exposedListenerFault(listener, before) : 'adsum did not build it';
    return fault === undefined ? resource : settle(resource, { body: closedListener(before ?? listener), faults: [`it is closed: ${fault}`] });
  });
  return { resources: guarded, problems };
}

function messageName({ type }: EnvoyResource): string {
  return RESOURCE_TYPES[type].slice('type.googleapis.com/'.length);
}

/** What users write comes in either spelling of protobuf's names; the guard looks at one, and sends what it looked at. */
function canonical<Name extends keyof Messages>(type: Name, body: object): Messages[Name] {
  return decode(type, encode(type, body as Messages[Name]));
}

function leadsToApplication(cluster: string): boolean {
  return cluster === LOCAL_APP || cluster.startsWith('exposed_cluster_');
}

/** Clusters that adsum built for what is not the application. Those of extensions' own lead to programs on the same host. */
function safeTargets(resources: readonly EnvoyResource[], own: ReadonlyMap<string, object>): SafeTargets {
  const clusters = resources.filter(({ type, name }) => type === 'cluster' && own.has(`cluster/${name}`) && !leadsToApplication(name)).map(({ name }) => name);
  return { clusters: new Set(clusters), routes: new Map() };
}

function guardOutboundListener(listener: Listener, before: Listener | undefined, targets: SafeTargets): Guarded<Listener> {
  const odd = listenerFault(listener, ['internal_listener']);
  if (odd) return { body: closedListener(listener), faults: [odd] };
  const usable = passesOn(listener, before) ? targets : withoutOriginalDestination(targets);
  const faults: string[] = [];
  const guard = (chain: FilterChain): FilterChain => {
    const fault = outboundChainFault(chain, usable);
    if (fault === undefined) return chain;
    faults.push(`a filter chain is closed: ${fault}`);
    return closedChain(chain);
  };
  const { filter_chains: chains, default_filter_chain: defaultChain } = listener;
  const body = { ...listener, ...(chains && { filter_chains: chains.map(guard) }), ...(defaultChain && { default_filter_chain: guard(defaultChain) }) };
  return { body, faults };
}

function problemOf({ service }: ProxyView, { type, name }: EnvoyResource, fault: string): Problem {
  return {
    code: 'unguarded-change',
    severity: 'error',
    message: `an Envoy extension or escape hatch of ${service} would open the application: in ${type} ${name} ${fault}`,
    hint: 'the application is reached through the public listener and exposed paths only, after mutual TLS and authorization; to write your own chains use envoy_public_listener_json',
  };
}
