import type { Mesh } from '../mesh/mesh.ts';
import type { ProblemSubject } from '../mesh/problem.ts';
import { type ConfigEntryKind, isConfigEntryKind } from '../mesh/schema/config-entry.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import { chainClusters } from './chain-cluster.ts';
import { JWKS_CLUSTER_PREFIX } from './jwt-authn.ts';
import { LOCAL_APP, passthroughClusterName, SECRETS } from './names.ts';
import type { EnvoyResource } from './resource.ts';

type Named = Pick<EnvoyResource, 'type' | 'name'>;
type Entries = Pick<Mesh, 'configEntries' | 'instances'>;

/**
 * The entries of the mesh, and the registration of the proxy, that a resource of it is made from; the likeliest culprit first: the one whose own
 * words stand in what Envoy says, if there is one.
 */
export function shapedBy(view: ProxyView, registration: ProblemSubject, resource: Named, { mesh, error }: { mesh: Entries; error: string }): ProblemSubject[] {
  const subjects = [...candidates(view, resource), registration].filter((subject) => isThere(subject, mesh));
  const quoted = subjects.map((subject) => longestQuote(subjectIn(subject, mesh), error));
  const best = Math.max(0, ...quoted);
  const culprit = best > 0 ? subjects[quoted.indexOf(best)] : undefined;
  return culprit ? [culprit, ...subjects.filter((subject) => subject !== culprit)] : subjects;
}

function candidates(view: ProxyView, { type, name }: Named): ProblemSubject[] {
  const services = servicesBehind(view, { type, name });
  const own = [entry('service-defaults', view.service), entry('proxy-defaults', 'global'), entry('mesh', 'mesh')];
  const of = services.flatMap((service) => CHAIN_KINDS.map((kind) => entry(kind, service)));
  if (name.startsWith(JWKS_CLUSTER_PREFIX)) return [entry('jwt-provider', name.slice(JWKS_CLUSTER_PREFIX.length)), ...own];
  const inbound = [
    ...[view.service, '*'].map((destination) => entry('service-intentions', destination)),
    ...view.inbound.authorization.jwtProviders.map((provider) => entry('jwt-provider', provider.name)),
  ];
  if ((type === 'secret' && name === SECRETS.callers) || (services.length === 0 && type === 'listener')) return [...inbound, ...own];
  return name === LOCAL_APP ? own : [...of, ...own];
}

const CHAIN_KINDS: readonly ConfigEntryKind[] = ['service-router', 'service-splitter', 'service-resolver', 'service-defaults'];

function entry(kind: ConfigEntryKind, name: string): ProblemSubject {
  return { kind, name };
}

/** The upstream services that a resource is there for. */
function servicesBehind(view: ProxyView, { type, name }: Named): string[] {
  const isOf = servicesByResource(view).get(`${type}/${name}`);
  if (isOf) return [...isOf];
  return type === 'listener' && name.startsWith('outbound_listener:') ? [...new Set(view.upstreams.map(({ service }) => service))] : [];
}

/** `<type>/<name>` of a resource → the upstream services it is there for. */
export function servicesByResource(view: ProxyView): ReadonlyMap<string, ReadonlySet<string>> {
  const services = new Map<string, Set<string>>();
  const add = (key: string, service: string) => services.set(key, (services.get(key) ?? new Set()).add(service));
  for (const { name, service, route, listener } of view.upstreams) {
    add(`route/${name}`, service);
    if (listener) add(`listener/${name}:${'port' in listener ? `${listener.address}:${listener.port}` : listener.socketPath}`, service);
    if (route.type !== 'chain') continue;
    for (const cluster of chainClusters(route.chain)) {
      for (const type of ['cluster', 'endpoint'] as const) {
        add(`${type}/${cluster.name}`, service);
        if (cluster.type === 'target') add(`${type}/${cluster.name}`, cluster.target.service);
      }
    }
  }
  for (const { sni, service } of view.transparent?.directDials ?? []) add(`cluster/${passthroughClusterName(sni)}`, service);
  return services;
}

function isThere(subject: ProblemSubject, mesh: Entries): boolean {
  return subjectIn(subject, mesh) !== undefined;
}

function subjectIn(subject: ProblemSubject, { configEntries, instances }: Entries): object | undefined {
  if ('id' in subject) return instances.find(({ node, id }) => node === subject.node && id === subject.id);
  return isConfigEntryKind(subject.kind) ? configEntries.get(subject.kind, subject.name) : undefined;
}

/** Shorter words stand in many a text by chance. */
const TELLING = 4;

/** The length of the longest text inside `value` that an error quotes. Names of services are in most errors, and quote nothing. */
function longestQuote(value: unknown, error: string, key = ''): number {
  if (typeof value === 'string') return value.length >= TELLING && key !== 'name' && key !== 'kind' && error.includes(value) ? value.length : 0;
  if (typeof value !== 'object' || value === null) return 0;
  return Math.max(0, ...Object.entries(value).map(([name, item]) => longestQuote(item, error, Array.isArray(value) ? key : name)));
}
