import type { CachedResource, ResourcesByName, ResourceType, Snapshot } from '../cache/resource.ts';
import { type ResourceCache, succeed } from '../cache/resource-cache.ts';
import { closedForm } from '../envoy/closed-form.ts';
import { SECRETS } from '../envoy/names.ts';
import type { EnvoyTraits } from '../envoy/resource.ts';
import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import { FairQueue } from '../runtime/fair-queue.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { MeshTopology } from '../topology/build-topology.ts';
import { type ProxyIdentity, resolveProxyIdentity } from '../topology/proxy-identity.ts';
import { resolveProxyView } from '../topology/resolve-proxy-view.ts';
import type { Topology } from '../topology/topology.ts';
import type { Verdict } from '../xds/status.ts';
import { ChangeMeter } from './change-meter.ts';
import { type Configuration, Configurations } from './configurations.ts';
import { withLingering } from './lingering.ts';
import { locateProxy } from './locate-proxy.ts';
import { RefusedResources } from './refused-resources.ts';
import { type SecretSources, Secrets } from './secrets.ts';
import type { ResolvedProxy, ServedProxy, SnapshotSubscriber } from './served-proxy.ts';

/** The identities of the mesh, as the reconciler needs them. */
export interface Identities extends SecretSources {
  /** Keeps a leaf of the service at hand, until `release`. `secretsChanged` is called when it is there and each time it is renewed. */
  use(service: string): void;
  release(service: string): void;
}

export interface ReconcilerOptions {
  readonly cache: ResourceCache;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Milliseconds that never go back, for measuring; default `performance.now`. */
  readonly monotonicMs?: () => number;
}

/**
 * The change loop: a changed topology or secret → the proxies it touches → view → resources → snapshot → their streams, and only
 * when the snapshot differs. A proxy whose snapshot cannot be built keeps its last good one; its neighbours go on.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #served = new Map<string, ServedProxy>();
  readonly #usersOf = new Map<string, Set<ServedProxy>>();
  readonly #configurations: Configurations;
  readonly #secrets: Secrets;
  readonly #queue: FairQueue<ServedProxy>;
  readonly #changes: ChangeMeter;
  #topology: MeshTopology | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#changes = new ChangeMeter(options.metrics, options.monotonicMs ?? (() => performance.now()));
    this.#configurations = new Configurations(options.cache);
    this.#secrets = new Secrets(options.identities, options.cache);
    this.#queue = new FairQueue({
      work: (proxy) => this.#refresh(proxy),
      drained: () => this.#changes.workedOut(),
    });
  }

  get topology(): MeshTopology | undefined {
    return this.#topology;
  }

  /** Nothing waits to be computed. */
  get idle(): boolean {
    return this.waiting === 0;
  }

  /** Proxies that wait to be computed. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Proxies with at least one stream. */
  served(): Iterable<ServedProxy> {
    return this.#served.values();
  }

  /**
   * Called once there is a topology, and after each update of it. Which proxies an update touches their watches tell.
   * @param changed the kinds of things that the update changed
   */
  setTopology(topology: MeshTopology, changed: Iterable<string> = []): void {
    if (this.#topology !== topology) {
      this.#topology = topology;
      for (const proxy of this.#served.values()) {
        proxy.watch?.close();
        proxy.watch = undefined;
        this.#queue.add(proxy);
      }
    }
    this.#begin(changed);
  }

  /** The leaf of `service` changed; without an argument, the roots did. */
  secretsChanged(service?: string): void {
    const touched = service === undefined ? this.#served.values() : (this.#usersOf.get(service) ?? []);
    for (const proxy of touched) this.#queue.add(proxy);
    this.#begin([service === undefined ? 'roots' : 'leaf']);
  }

  #begin(kinds: Iterable<string>): void {
    this.#changes.begin(kinds);
    if (this.idle) this.#changes.workedOut();
  }

  /**
   * Serves a proxy to `subscriber` until `detach`: what it already has at once, what has to be worked out when its turn comes, so that
   * a thousand proxies that connect together hold up neither the first of them nor anybody else.
   */
  attach(identity: { id: string; nodeName?: string; traits: EnvoyTraits }, subscriber: SnapshotSubscriber): { proxy: ServedProxy; detach: () => void } {
    const key = JSON.stringify([identity.id, identity.nodeName, identity.traits]);
    let proxy = this.#served.get(key);
    if (!proxy) {
      proxy = newlyServed(identity);
      this.#served.set(key, proxy);
      this.#queue.add(proxy);
    }
    const served = proxy;
    served.subscribers.add(subscriber);
    if (served.snapshot) subscriber.update(served.snapshot);
    const detach = () => {
      if (!served.subscribers.delete(subscriber) || served.subscribers.size > 0) return;
      this.#served.delete(key);
      this.#queue.remove(served);
      served.cancelLeaving();
      served.watch?.close();
      this.#useIdentity(served, undefined);
    };
    return { proxy: served, detach };
  }

  /** An Envoy of the proxy has accepted or refused something, on this stream. */
  answered(proxy: ServedProxy, verdict: Verdict, stream: object): void {
    if (!proxy.refused.take(verdict, stream)) return;
    const { error, refused } = verdict;
    const reason = { proxy: proxy.id, resources: refused.map(({ name }) => name), reason: error };
    this.#options.logger.error(reason, 'the proxy refused who may call its application; until that changes nobody may');
    this.#queue.add(proxy);
  }

  /** What a registered proxy would get, secrets left out: for operators, connected or not. */
  configurationOf(instance: Instance, traits: EnvoyTraits): Configuration | undefined {
    return this.#topology && this.#configurations.of(resolveProxyView(this.#topology, instance), traits);
  }

  #refresh(proxy: ServedProxy): void {
    const { logger, metrics } = this.#options;
    try {
      const resolved = this.#resolve(proxy);
      proxy.waitingFor = resolved.reason;
      if (resolved.instance) {
        proxy.instance = resolved.instance;
        this.#useIdentity(proxy, resolved.identity);
        proxy.configuration = this.#configurations.of(resolved.view, proxy.traits);
        proxy.failure = undefined;
      }
      // what it was given stays: a registration that vanished is no order to take the proxy down
      if (!proxy.configuration || !proxy.identity) return;
      const secret = this.#secrets.of(proxy.configuration.view, proxy.identity);
      const wanted = { ...proxy.configuration.resources, secret };
      proxy.refused.settle(wanted);
      const snapshot = this.#withLingering(proxy, succeed(proxy.snapshot, this.#closeRefused(proxy.refused, proxy.configuration, wanted)));
      metrics.snapshotsBuilt.inc();
      if (snapshot === proxy.snapshot) return;
      const isFirst = proxy.snapshot === undefined;
      proxy.snapshot = snapshot;
      metrics.snapshotsChanged.inc();
      const answered = isFirst ? undefined : this.#changes.handOver(proxy.subscribers.size);
      for (const subscriber of proxy.subscribers) subscriber.update(snapshot, answered);
    } catch (error) {
      proxy.failure = internalProblem(proxy, error);
      logger.error(
        { proxy: proxy.id, error: error instanceof Error ? error.stack : String(error) },
        'a snapshot could not be built; the proxy keeps its last one',
      );
    }
  }

  /** What decides who may call the application, and was not taken by its Envoy, lets nobody in until it is another. */
  #closeRefused(refused: RefusedResources, { view, applicationListeners }: Configuration, wanted: Snapshot): Snapshot {
    const close = (type: ResourceType, resources: ResourcesByName): ResourcesByName => {
      const closed = new Map<string, CachedResource>();
      for (const name of type === 'listener' ? applicationListeners : [SECRETS.callers]) {
        const resource = resources.get(name);
        if (!resource) continue;
        refused.noteGuard(type, resource, view);
        const form = refused.isClosed(type, resource) && closedForm(type, name, resource.bytes, applicationListeners);
        if (!form) continue;
        const replacement = this.#options.cache.intern(form.type, form.name, form.body);
        refused.noteGuard(type, replacement, 'closed');
        closed.set(name, replacement);
      }
      return closed.size === 0 ? resources : new Map([...resources, ...closed]);
    };
    return { ...wanted, listener: close('listener', wanted.listener), secret: close('secret', wanted.secret) };
  }

  #resolve(proxy: ServedProxy): ResolvedProxy {
    const topology = this.#topology;
    if (!topology) return { reason: locateProxy(undefined, proxy).reason ?? '' };
    proxy.watch ??= topology.store.watch(
      () => resolveProxy(topology, proxy),
      () => this.#queue.add(proxy),
    );
    return proxy.watch.get();
  }

  /** Comes back to the proxy when the next of its unwanted clusters is to go. */
  #withLingering(proxy: ServedProxy, wanted: Snapshot): Snapshot {
    const { clock } = this.#options;
    const { snapshot, leaving } = withLingering(wanted, proxy.snapshot, proxy.leaving, clock.now());
    proxy.leaving = leaving;
    proxy.cancelLeaving();
    if (leaving.size > 0) proxy.cancelLeaving = clock.after(Math.min(...leaving.values()) - clock.now(), () => this.#queue.add(proxy));
    return snapshot;
  }

  #useIdentity(proxy: ServedProxy, identity: ProxyIdentity | undefined): void {
    const before = servicesOf(proxy.identity);
    const now = servicesOf(identity);
    proxy.identity = identity;
    for (const service of now) {
      if (before.has(service)) continue;
      this.#usersOf.set(service, (this.#usersOf.get(service) ?? new Set()).add(proxy));
      this.#options.identities.use(service);
    }
    for (const service of before) {
      if (now.has(service)) continue;
      const users = this.#usersOf.get(service);
      users?.delete(proxy);
      if (users?.size === 0) this.#usersOf.delete(service);
      this.#options.identities.release(service);
    }
  }
}

function newlyServed({ id, nodeName, traits }: { id: string; nodeName?: string; traits: EnvoyTraits }): ServedProxy {
  return {
    id,
    nodeName,
    traits,
    subscribers: new Set(),
    watch: undefined,
    instance: undefined,
    identity: undefined,
    waitingFor: 'its configuration is being worked out',
    failure: undefined,
    refused: new RefusedResources(),
    configuration: undefined,
    snapshot: undefined,
    leaving: new Map(),
    cancelLeaving: () => {},
  };
}

function resolveProxy(topology: Topology, proxy: { readonly id: string; readonly nodeName: string | undefined }): ResolvedProxy {
  const { instance, reason } = locateProxy(topology, proxy);
  if (!instance) return { reason };
  const identity = resolveProxyIdentity(instance, topology);
  return identity ? { instance, identity, view: resolveProxyView(topology, instance) } : { reason: `${proxy.id} has no identity` };
}

/** The services whose leaves a proxy holds. */
function servicesOf(identity: ProxyIdentity | undefined): ReadonlySet<string> {
  return new Set(identity?.leaves.values());
}

function internalProblem(proxy: ServedProxy, error: unknown): Problem {
  return {
    code: 'internal-error',
    severity: 'error',
    message: `the resources of ${proxy.id} could not be built: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'this is a bug in adsum: please report it with the mesh file',
    proxies: [proxy.id],
  };
}
