import type { Problem } from '../mesh/problem.ts';
import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_listener_v3_Listener as Listener,
  envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher as SubjectAltNameMatcher,
} from '../proto/generated/types.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { ProxyView, UpstreamView } from '../topology/proxy-view.ts';
import { callerSanMatchers } from './caller-sans.ts';
import { closedListener } from './closed-chain.ts';
import { buildDestinationClusters, buildDestinationRoutes } from './destination.ts';
import { connectionsOnly, securePublicListener, userCluster, userListener, userTracing } from './escape-hatch.ts';
import { buildExposedListener, exposedCluster } from './exposed-listener.ts';
import { applyExtensions } from './extensions/apply-extensions.ts';
import { guardResources } from './guard/guard-resources.ts';
import type { Tracing } from './http-connection-manager.ts';
import { buildJwksCluster } from './jwt-authn.ts';
import { buildExposedCluster, buildLocalAppCluster } from './local-cluster.ts';
import { DENIED, LOCAL_APP } from './names.ts';
import { buildOriginalDestinationCluster, buildPassthroughCluster } from './original-destination-cluster.ts';
import { buildOutboundListener } from './outbound-listener.ts';
import { textIn } from './proxy-config.ts';
import { buildPublicListener } from './public-listener.ts';
import type { EnvoyResource, EnvoyTraits } from './resource.ts';
import { buildUpstreamRoutes, usesRds } from './route.ts';
import { buildUpstreamListener } from './upstream-listener.ts';
import { buildUpstreamClusters, clusterResource } from './upstream-resources.ts';

export interface BuiltResources {
  /** Clusters, endpoints, listeners and routes, by type and name; each name once per type. Secrets come from elsewhere. */
  readonly resources: readonly EnvoyResource[];
  readonly problems: readonly Problem[];
}

/** Everything Envoy needs for one sidecar, except its certificates. */
export function buildResources(view: ProxyView, traits: EnvoyTraits): BuiltResources {
  const problems: Problem[] = [...view.problems];
  const note = <Message>({ message, problems: found }: { message?: Message | undefined; problems: readonly Problem[] }): Message | undefined => {
    problems.push(...found.map((problem) => ({ ...problem, proxies: [view.id] })));
    return message;
  };
  const tracing = note(userTracing(textIn(view.config, 'envoy_listener_tracing_json')));
  const outbound = view.transparent && buildOutboundListener(view, view.transparent, traits, tracing);
  if (outbound) note({ problems: outbound.problems });

  const localApp = note(userCluster(textIn(view.config, 'envoy_local_cluster_json'), 'envoy_local_cluster_json'));
  const ownListener = note(userListener(textIn(view.config, 'envoy_public_listener_json'), 'envoy_public_listener_json'));
  const publicListener = ownListener ? securePublicListener(view, ownListener) : buildPublicListener(view, traits, tracing);
  // What users wrote instead of something, or beside everything.
  const written: UserWritten = {
    bodies: new Set<object>([...(ownListener ? [publicListener] : []), ...(localApp ? [localApp] : [])]),
    insteadOf: [],
    replaced: new Set(),
  };
  const resources = [
    ...(localApp && localApp.name !== LOCAL_APP ? [] : [clusterResource(localApp ?? buildLocalAppCluster(view))]),
    ...view.jwtProviders.flatMap((provider) => resourceOf(buildJwksCluster(provider))),
    ...exposedClusters(view),
    ...view.upstreams.flatMap((upstream) => upstreamResources(view, upstream, written, note)),
    ...transparentResources(view, outbound?.listener !== undefined),
    listenerResource(publicListener),
    ...view.exposedPaths.map((exposed) => listenerResource(buildExposedListener(view, exposed, traits))),
    ...(outbound?.listener ? [listenerResource(outbound.listener)] : []),
    ...view.upstreams.flatMap((upstream) => upstreamListeners(view, upstream, { tracing, written }, note)),
    ...view.upstreams.flatMap((upstream) => upstreamRoutes(view, upstream)),
  ];
  // Last, so that it takes the name of no other.
  if (localApp && localApp.name !== LOCAL_APP && !written.replaced.has(localApp.name ?? '')) resources.push(clusterResource(localApp));
  const distinct = oncePerName(resources);
  const extended = applyExtensions(distinct, { view, traits, publicListener: publicListener.name ?? '' });
  note({ problems: extended.problems });
  const own = [...written.insteadOf, ...distinct.filter(({ body }) => !written.bodies.has(body))];
  const guarded = guardResources(oncePerName(extended.resources), { view, publicListener: publicListener.name ?? '', own });
  note({ problems: guarded.problems });
  return { resources: extended.unguarded ? guarded.resources.map(closeIf(publicListener.name)) : guarded.resources, problems };
}

/** What users wrote in escape hatches: the resources themselves, and what adsum would have under their names. */
interface UserWritten {
  readonly bodies: Set<object>;
  readonly insteadOf: EnvoyResource[];
  /** Names of clusters that listeners lead to and that users have put another cluster in place of. */
  readonly replaced: Set<string>;
}

/** Without what was to guard it, the application is closed to everybody. */
function closeIf(publicListener: string | undefined): (resource: EnvoyResource) => EnvoyResource {
  return (resource) => (resource.type === 'listener' && resource.name === publicListener ? { ...resource, body: closedListener(resource.body) } : resource);
}

/**
 * Who may finish the TLS handshake of a tcp service, for the `callers` secret. Undefined where nothing refers to that secret: an HTTP
 * service needs it only for chains of a user's own public listener that do not speak HTTP.
 */
export function buildCallerSans(view: ProxyView): readonly SubjectAltNameMatcher[] | undefined {
  if (isHttp(view.inbound.protocol) && !textIn(view.config, 'envoy_public_listener_json')) return undefined;
  return callerSanMatchers(connectionsOnly(view.inbound.authorization), view.trustDomain);
}

type Note = <Message>(hatch: { message?: Message | undefined; problems: readonly Problem[] }) => Message | undefined;

function exposedClusters(view: ProxyView): EnvoyResource[] {
  return view.exposedPaths
    .filter((exposed) => exposedCluster(view, exposed) !== LOCAL_APP)
    .map((exposed) => clusterResource(buildExposedCluster(view, exposed)));
}

/** A user's own cluster replaces that of an upstream only where no config entry shapes the chain: otherwise there is not just one. */
function upstreamResources(view: ProxyView, upstream: UpstreamView, { bodies, insteadOf, replaced: names }: UserWritten, note: Note): EnvoyResource[] {
  const own = buildUpstreamClusters(view, upstream);
  const { envoy_cluster_json: text } = upstream.settings;
  if (!text || (upstream.route.type === 'chain' && !upstream.route.chain.default)) return own;
  const written = note(userCluster(text, `envoy_cluster_json of ${upstream.name}`));
  const replaced = own.find(({ type }) => type === 'cluster');
  if (!written || !replaced) return own;
  if (written.name !== replaced.name && !upstream.settings.envoy_listener_json) note({ problems: [otherName(upstream.name, replaced.name)] });
  // Whatever the user makes of it, its transport stays mTLS.
  const { transport_socket } = replaced.body as Cluster;
  const cluster = clusterResource({ ...written, transport_socket });
  bodies.add(cluster.body);
  insteadOf.push({ ...replaced, name: cluster.name });
  names.add(replaced.name);
  return [cluster, ...own.filter(({ type }) => type === 'endpoint' && written.type === 'EDS')];
}

function otherName(upstream: string, wanted: string): Problem {
  return {
    code: 'escape-hatch-name',
    severity: 'warning',
    message: `envoy_cluster_json of ${upstream} has another name than ${wanted}, where the proxy sends its connections`,
    hint: 'use that name, or give the upstream an envoy_listener_json too',
  };
}

function transparentResources(view: ProxyView, listens: boolean): EnvoyResource[] {
  const { transparent, mesh } = view;
  if (!transparent) return [];
  return [
    ...(listens ? [clusterResource({ name: DENIED, type: 'STATIC', connect_timeout: '5s', load_assignment: { cluster_name: DENIED } })] : []),
    ...(transparent.passOthersOn ? [clusterResource(buildOriginalDestinationCluster())] : []),
    ...transparent.directDials.map((dial) => clusterResource(buildPassthroughCluster(dial, mesh.outgoingTls))),
    ...transparent.destinations.flatMap((destination) => buildDestinationClusters(view, destination)),
    ...buildDestinationRoutes(view, transparent.destinations),
  ];
}

function upstreamListeners(
  view: ProxyView,
  upstream: UpstreamView,
  { tracing, written: users }: { tracing: Tracing | undefined; written: UserWritten },
  note: Note,
): EnvoyResource[] {
  const hatch = upstream.route.type === 'chain' && !upstream.route.chain.default ? undefined : upstream.settings.envoy_listener_json;
  const written = note(userListener(hatch, `envoy_listener_json of ${upstream.name}`));
  if (written) {
    users.bodies.add(written);
    return [listenerResource(written)];
  }
  return upstream.listener ? [listenerResource(buildUpstreamListener(view, upstream, upstream.listener, tracing))] : [];
}

function upstreamRoutes(view: ProxyView, { name, protocol, route }: UpstreamView): EnvoyResource[] {
  if (route.type !== 'chain' || !isHttp(protocol) || !usesRds(route.chain)) return [];
  const body = buildUpstreamRoutes(route.chain, { routeConfig: name, virtualHost: name }, { validateClusters: view.mesh.validateClusters });
  return [{ type: 'route', name, body }];
}

function listenerResource(listener: Listener): EnvoyResource<Listener> {
  return { type: 'listener', name: listener.name ?? '', body: listener };
}

function resourceOf(cluster: Cluster | undefined): EnvoyResource[] {
  return cluster ? [clusterResource(cluster)] : [];
}

/** Chains that share a target share its cluster. Sorted, so that equal views give equal lists. */
function oncePerName(resources: readonly EnvoyResource[]): EnvoyResource[] {
  const byKey = new Map<string, EnvoyResource>();
  for (const resource of resources) {
    const key = `${resource.type}/${resource.name}`;
    if (!byKey.has(key)) byKey.set(key, resource);
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, resource]) => resource);
}
