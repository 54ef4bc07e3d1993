import type { Problem } from '../mesh/problem.ts';
import type {
  envoy_config_listener_v3_Listener as Listener,
  envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher as SubjectAltNameMatcher,
} from '../proto/generated/types.ts';
import type { JwtProvider } from '../topology/authorization-jwt.ts';
import type { Endpoint } from '../topology/endpoints.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { InboundView, ProxyContext, ProxyView, TransparentView, UpstreamView } from '../topology/proxy-view.ts';
import { callerSanMatchers } from './caller-sans.ts';
import { closedListener } from './closed-chain.ts';
import { buildDestinationClusters, buildDestinationRoutes } from './destination.ts';
import { connectionsOnly, type EscapeHatch, securePublicListener, userCluster, userListener, userTracing } from './escape-hatch.ts';
import { buildExposedListener, exposedCluster } from './exposed-listener.ts';
import { applyExtensions } from './extensions/apply-extensions.ts';
import { guardResources } from './guard/guard-resources.ts';
import { buildJwksCluster } from './jwt-authn.ts';
import { buildExposedCluster, buildLocalAppCluster } from './local-cluster.ts';
import { DENIED, exposedListenerName, LOCAL_APP } from './names.ts';
import { buildOriginalDestinationCluster, buildPassthroughCluster } from './original-destination-cluster.ts';
import { buildOutboundListener } from './outbound-listener.ts';
import { PartMemo } from './part-memo.ts';
import { buildPublicListener } from './public-listener.ts';
import type { BuildContext, EnvoyResource, EnvoyTraits } from './resource.ts';
import { buildUpstreamRoutes, usesRds } from './route.ts';
import { buildUpstreamListener } from './upstream-listener.ts';
import { buildUpstreamClusters, clusterResource, type EndpointTarget, endpointResource, endpointTargets } from './upstream-resources.ts';

export interface BuiltResources {
  /** Clusters, endpoints, listeners and routes, by type and name; each name once per type. Secrets come from elsewhere. */
  readonly resources: readonly EnvoyResource[];
  readonly problems: readonly Problem[];
}

/**
 * Everything Envoy needs for one sidecar, except its certificates.
 * @param memo what was built for other views. With the same one, parts that views share are built once, and their bodies are the same objects
 */
export function buildResources(view: ProxyView, traits: EnvoyTraits, memo = new PartMemo()): BuiltSidecar {
  const { context, problems: contextProblems } = memo.of(buildContext, view.context, traits);
  const { inbound: receiving, transparent, upstreams, jwtProviders } = view;
  const inbound = memo.of(buildInbound, context, receiving);
  const { publicListener } = inbound;
  // What is adsum's own comes before what a user may name at will: of two with one name the first stays.
  const parts: BuiltPart[] = [
    inbound,
    memo.of(buildJwksClusters, jwtProviders),
    ...(transparent ? [memo.of(buildTransparent, context, upstreams, transparent)] : []),
    ...upstreams.map((upstream) => withEndpoints(memo, view, memo.of(buildUpstream, context, upstream))),
  ];
  // Listeners lead to what was replaced by its name: a cluster of that name would take its connections.
  const replaced = new Set(parts.map(({ replacedName }) => replacedName));
  const beside = (inbound.beside ?? []).filter(({ name }) => !replaced.has(name));
  const distinct = oncePerName([...parts.flatMap(({ resources }) => resources), ...beside]);
  const extended = applyExtensions(distinct, { view, traits, publicListener });
  const written = new Set<object>(parts.flatMap(({ writtenByUsers = [] }) => writtenByUsers));
  const own = [...parts.flatMap(({ replaces }) => replaces ?? []), ...distinct.filter(({ body }) => !written.has(body))];
  const guarded = guardResources(oncePerName(extended.resources), { view, publicListener, own });
  const problems = [...view.problems, ...contextProblems, ...parts.flatMap((part) => part.problems), ...extended.problems, ...guarded.problems];
  const exposed = receiving.exposedPaths.map(({ path, listenerPort }) => exposedListenerName(path, receiving.bindAddress, listenerPort));
  return {
    resources: extended.unguarded ? guarded.resources.map(closeIf(publicListener)) : guarded.resources,
    problems,
    applicationListeners: [publicListener, ...exposed],
  };
}

export interface BuiltSidecar extends BuiltResources {
  /** The names of the listeners behind which is the application: the public one and those of exposed paths. */
  readonly applicationListeners: readonly string[];
}

/** What was built from one part of a view. */
interface BuiltPart extends BuiltResources {
  /** Bodies that users wrote in escape hatches. */
  readonly writtenByUsers?: readonly object[];
  /** What adsum would have under the name of a cluster that a user put in its place. */
  readonly replaces?: EnvoyResource | undefined;
  /** Its own name, which the user's need not have. */
  readonly replacedName?: string | undefined;
}

/** Without what was to guard it, the application is closed to everybody. */
function closeIf(publicListener: string | undefined): (resource: EnvoyResource) => EnvoyResource {
  return (resource) => (resource.type === 'listener' && resource.name === publicListener ? { ...resource, body: closedListener(resource.body) } : resource);
}

/**
 * Who may finish the TLS handshake of a tcp service, for the `callers` secret. Undefined where nothing refers to that secret: an HTTP
 * service needs it only for chains of a user's own public listener that do not speak HTTP.
 */
export function buildCallerSans({ inbound, context }: ProxyView): readonly SubjectAltNameMatcher[] | undefined {
  if (isHttp(inbound.protocol) && !inbound.tuning.publicListenerJson) return undefined;
  return callerSanMatchers(connectionsOnly(inbound.authorization), context.trustDomain);
}

function buildContext(context: ProxyContext, traits: EnvoyTraits): { readonly context: BuildContext; readonly problems: readonly Problem[] } {
  const { message: tracing, problems } = userTracing(context.listenerTracingJson);
  return { context: { ...context, traits, tracing }, problems };
}

/** Takes what a user wrote, and notes why it is not used. */
type Note = <Message>(hatch: EscapeHatch<Message>) => Message | undefined;

/** Collects the problems of one part. */
function noting(): { readonly note: Note; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const note: Note = ({ message, problems: found }) => {
    problems.push(...found);
    return message;
  };
  return { note, problems };
}

/** What was built, with the part of the view that it was made from. */
function madeFrom(part: object, resources: readonly EnvoyResource[]): EnvoyResource[] {
  return resources.map((resource) => ({ ...resource, madeFrom: part }));
}

interface BuiltInbound extends BuiltPart {
  /** The name of the listener that receives for the application, whoever wrote it. */
  readonly publicListener: string;
  /** A user's cluster under a name of its own. It must take the name of no other. */
  readonly beside?: readonly EnvoyResource[];
}

function buildInbound(context: BuildContext, inbound: InboundView): BuiltInbound {
  const { note, problems } = noting();
  const localApp = note(userCluster(inbound.tuning.localClusterJson, 'envoy_local_cluster_json'));
  const ownListener = note(userListener(inbound.tuning.publicListenerJson, 'envoy_public_listener_json'));
  const publicListener = ownListener ? securePublicListener(context, inbound, ownListener) : buildPublicListener(context, inbound);
  const beside = localApp && localApp.name !== LOCAL_APP ? [clusterResource(localApp)] : [];
  const resources = [
    ...(beside.length > 0 ? [] : [clusterResource(localApp ?? buildLocalAppCluster(inbound))]),
    ...exposedClusters(inbound),
    listenerResource(publicListener),
    ...inbound.exposedPaths.map((exposed) => listenerResource(buildExposedListener(context, inbound, exposed))),
  ];
  return {
    resources: madeFrom(inbound, resources),
    problems,
    publicListener: publicListener.name ?? '',
    beside: madeFrom(inbound, beside),
    writtenByUsers: [...(ownListener ? [publicListener] : []), ...(localApp ? [localApp] : [])],
  };
}

function exposedClusters(inbound: InboundView): EnvoyResource[] {
  return inbound.exposedPaths
    .filter((exposed) => exposedCluster(inbound, exposed) !== LOCAL_APP)
    .map((exposed) => clusterResource(buildExposedCluster(inbound, exposed)));
}

function buildJwksClusters(providers: readonly JwtProvider[]): BuiltPart {
  const resources = providers.flatMap((provider) => {
    const cluster = buildJwksCluster(provider);
    return cluster ? madeFrom(provider, [clusterResource(cluster)]) : [];
  });
  return { resources, problems: [] };
}

function buildTransparent(context: BuildContext, upstreams: readonly UpstreamView[], transparent: TransparentView): BuiltPart {
  const { listener, problems } = buildOutboundListener(context, upstreams, transparent);
  const { directDials, destinations, passOthersOn } = transparent;
  const resources = [
    ...(listener
      ? [listenerResource(listener), clusterResource({ name: DENIED, type: 'STATIC', connect_timeout: '5s', load_assignment: { cluster_name: DENIED } })]
      : []),
    ...(passOthersOn ? [clusterResource(buildOriginalDestinationCluster())] : []),
    ...directDials.map((dial) => clusterResource(buildPassthroughCluster(dial, context.mesh.outgoingTls))),
    ...destinations.flatMap((destination) => buildDestinationClusters(context, destination)),
    ...buildDestinationRoutes(context, destinations),
  ];
  return { resources: madeFrom(transparent, resources), problems };
}

interface BuiltUpstream extends BuiltPart {
  readonly endpoints: readonly EndpointTarget[];
}

function buildUpstream(context: BuildContext, upstream: UpstreamView): BuiltUpstream {
  const { note, problems } = noting();
  const { clusters, endpoints, written = [], replaces, replacedName } = upstreamClusters(context, upstream, note);
  const { listeners, written: writtenListeners } = upstreamListeners(context, upstream, note);
  const resources = madeFrom(upstream, [...clusters, ...listeners, ...upstreamRoutes(context, upstream)]);
  return { resources, problems, endpoints, writtenByUsers: [...written, ...writtenListeners], replaces, replacedName };
}

/** Where instances are changes more often than anything else, so it is built apart. */
function withEndpoints(memo: PartMemo, view: ProxyView, built: BuiltUpstream): BuiltPart {
  const assignments = built.endpoints.map((target) => memo.of(buildAssignment, target, endpointsOf(view, target)));
  return { ...built, resources: [...built.resources, ...assignments] };
}

function endpointsOf({ endpoints }: ProxyView, { target }: EndpointTarget): readonly Endpoint[] {
  return (target === undefined ? undefined : endpoints.get(target)) ?? UNKNOWN;
}

/** Stands for the instances of another datacenter, so that there is an object to remember by. */
const UNKNOWN: readonly Endpoint[] = [];

function buildAssignment({ cluster }: EndpointTarget, endpoints: readonly Endpoint[]): EnvoyResource {
  return { ...endpointResource(cluster, endpoints === UNKNOWN ? undefined : endpoints), madeFrom: endpoints };
}

/** A user's own cluster replaces that of an upstream only where no config entry shapes the chain: otherwise there is not just one. */
function upstreamClusters(
  context: BuildContext,
  upstream: UpstreamView,
  note: Note,
): Pick<BuiltPart, 'replaces' | 'replacedName'> & { clusters: EnvoyResource[]; endpoints: EndpointTarget[]; written?: readonly object[] } {
  const clusters = buildUpstreamClusters(context, upstream);
  const endpoints = endpointTargets(context, upstream);
  const own = { clusters, endpoints };
  const { envoy_cluster_json: text } = upstream.settings;
  if (!text || (upstream.route.type === 'chain' && !upstream.route.chain.default)) return own;
  const written = note(userCluster(text, `envoy_cluster_json of ${upstream.name}`));
  const [replaced] = clusters;
  if (!written || !replaced) return own;
  if (written.name !== replaced.name && !upstream.settings.envoy_listener_json) note({ problems: [otherName(upstream.name, replaced.name)] });
  // Whatever the user makes of it, its transport stays mTLS.
  const { transport_socket } = replaced.body;
  const cluster = clusterResource({ ...written, transport_socket });
  return {
    clusters: [cluster],
    endpoints: written.type === 'EDS' ? endpoints : [],
    written: [cluster.body],
    replaces: { ...replaced, name: cluster.name },
    replacedName: replaced.name,
  };
}

function otherName(upstream: string, wanted: string): Problem {
  return {
    code: 'escape-hatch-name',
    severity: 'warning',
    message: `envoy_cluster_json of ${upstream} has another name than ${wanted}, where the proxy sends its connections`,
    hint: 'use that name, or give the upstream an envoy_listener_json too',
  };
}

function upstreamListeners(context: BuildContext, upstream: UpstreamView, note: Note): { listeners: EnvoyResource[]; written: object[] } {
  const hatch = upstream.route.type === 'chain' && !upstream.route.chain.default ? undefined : upstream.settings.envoy_listener_json;
  const written = note(userListener(hatch, `envoy_listener_json of ${upstream.name}`));
  if (written) return { listeners: [listenerResource(written)], written: [written] };
  return { listeners: upstream.listener ? [listenerResource(buildUpstreamListener(context, upstream, upstream.listener))] : [], written: [] };
}

function upstreamRoutes(context: BuildContext, { name, protocol, route }: UpstreamView): EnvoyResource[] {
  if (route.type !== 'chain' || !isHttp(protocol) || !usesRds(route.chain)) return [];
  const body = buildUpstreamRoutes(route.chain, { routeConfig: name, virtualHost: name }, { validateClusters: context.mesh.validateClusters });
  return [{ type: 'route', name, body }];
}

function listenerResource(listener: Listener): EnvoyResource<Listener> {
  return { type: 'listener', name: listener.name ?? '', body: listener };
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
