import type { Snapshot } from '../cache/resource.ts';
import { buildSnapshot, type ResourceCache } from '../cache/resource-cache.ts';
import { buildResources } from '../envoy/build-resources.ts';
import type { EnvoyResource, EnvoyTraits } from '../envoy/resource.ts';
import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import { FairQueue } from '../runtime/fair-queue.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type ProxyIdentity, resolveProxyIdentity } from '../topology/proxy-identity.ts';
import { resolveProxyView } from '../topology/resolve-proxy-view.ts';
import type { Topology } from '../topology/topology.ts';
import { trackReads } from '../topology/tracked-topology.ts';
import { buildSecrets, type KeyedChain } from './build-secrets.ts';
import { Dependents } from './dependents.ts';
import { withLingering } from './lingering.ts';
import { locateProxy } from './locate-proxy.ts';
import type { Configuration, ServedProxy, SnapshotSubscriber } from './served-proxy.ts';

/** The identities of the mesh, as the reconciler needs them. */
export interface Identities {
  /** Trusted root certificates, PEM. */
  roots(): readonly string[];
  /** The leaf of a service, once `use` has made one. */
  leaf(service: string): KeyedChain | undefined;
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
}

/**
 * The change loop: a new topology or a new secret → the proxies it touches → view → resources → snapshot → their streams, and only
 * when the snapshot differs. A proxy whose snapshot cannot be built keeps its last good one; its neighbours go on.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #served = new Map<string, ServedProxy>();
  readonly #dependents = new Dependents<ServedProxy>();
  readonly #queue: FairQueue<ServedProxy>;
  #topology: Topology | undefined;
  #changedAt: number | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#queue = new FairQueue({
      work: (proxy) => this.#refresh(proxy),
      drained: () => {
        if (this.#changedAt !== undefined) options.metrics.rebuildSeconds.observe((performance.now() - this.#changedAt) / 1000);
        this.#changedAt = undefined;
      },
    });
  }

  get topology(): Topology | undefined {
    return this.#topology;
  }

  /** Nothing waits to be computed. */
  get idle(): boolean {
    return this.#queue.size === 0;
  }

  /** Proxies with at least one stream. */
  served(): Iterable<ServedProxy> {
    return this.#served.values();
  }

  setTopology(topology: Topology): void {
    // who came before the first topology rests on no answer of one
    const touched = this.#topology ? this.#dependents.takeTouchedBy(topology) : [...this.#served.values()];
    this.#topology = topology;
    this.#changedAt ??= performance.now();
    for (const proxy of touched) {
      proxy.configuration = undefined;
      this.#queue.add(proxy);
    }
  }

  /** The leaf of `service` changed; without an argument, the roots did. */
  secretsChanged(service?: string): void {
    for (const proxy of this.#served.values()) {
      if (service === undefined || servicesOf(proxy.identity).has(service)) this.#queue.add(proxy);
    }
  }

  /**
   * Serves a proxy to `subscriber` until `detach`: what it already has at once, what has to be worked out when its turn comes, so that
   * a thousand proxies that connect together hold up neither the first of them nor anybody else.
   */
  attach(identity: { id: string; nodeName?: string; traits: EnvoyTraits }, subscriber: SnapshotSubscriber): { proxy: ServedProxy; detach: () => void } {
    const key = JSON.stringify([identity.id, identity.nodeName, identity.traits]);
    let proxy = this.#served.get(key);
    if (!proxy) {
      proxy = {
        id: identity.id,
        nodeName: identity.nodeName,
        traits: identity.traits,
        subscribers: new Set(),
        instance: undefined,
        identity: undefined,
        waitingFor: 'its configuration is being worked out',
        problems: [],
        configuration: undefined,
        snapshot: undefined,
        leaving: new Map(),
        cancelLeaving: () => {},
      };
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
      this.#dependents.delete(served);
      for (const service of servicesOf(served.identity)) this.#options.identities.release(service);
    };
    return { proxy: served, detach };
  }

  /** The resources a registered proxy would get, secrets left out: for operators, connected or not. */
  resourcesOf(instance: Instance, traits: EnvoyTraits): readonly EnvoyResource[] {
    return this.#topology ? buildResources(resolveProxyView(this.#topology, instance), traits).resources : [];
  }

  #refresh(proxy: ServedProxy): void {
    const { logger, metrics } = this.#options;
    try {
      proxy.configuration ??= this.#configure(proxy);
      if (!proxy.configuration) return; // what it was given stays: a registration that vanished is no order to take the proxy down
      const snapshot = this.#withLingering(proxy, this.#withSecrets(proxy, proxy.configuration));
      metrics.snapshotsBuilt.inc();
      if (snapshot === proxy.snapshot) return;
      proxy.snapshot = snapshot;
      metrics.snapshotsChanged.inc();
      for (const subscriber of proxy.subscribers) subscriber.update(snapshot);
    } catch (error) {
      proxy.problems = [internalProblem(proxy, error)];
      logger.error(
        { proxy: proxy.id, error: error instanceof Error ? error.stack : String(error) },
        'a snapshot could not be built; the proxy keeps its last one',
      );
    }
  }

  /** Everything but the secrets. Notes what it rests on, also when it fails, so that it is tried again when that changes. */
  #configure(proxy: ServedProxy): Configuration | undefined {
    if (!this.#topology) {
      proxy.waitingFor = locateProxy(undefined, proxy).reason;
      return undefined;
    }
    const { topology, reads } = trackReads(this.#topology);
    try {
      const found = locateProxy(topology, proxy);
      proxy.waitingFor = found.reason;
      if (!found.instance) return undefined;
      this.#useIdentity(proxy, found.instance, resolveProxyIdentity(found.instance, topology));
      const view = resolveProxyView(topology, found.instance);
      const { resources, problems } = buildResources(view, proxy.traits);
      proxy.problems = problems;
      return { view, resources: resources.map((resource) => this.#intern(resource)) };
    } finally {
      this.#dependents.set(proxy, reads);
    }
  }

  #withSecrets({ identity, snapshot }: ServedProxy, { view, resources }: Configuration): Snapshot {
    const { identities } = this.#options;
    const leaves = new Map<string, KeyedChain>();
    for (const [name, service] of identity?.leaves ?? []) {
      const leaf = identities.leaf(service);
      if (leaf) leaves.set(name, leaf);
    }
    const secrets = buildSecrets(view, identities.roots(), leaves);
    return buildSnapshot([...resources, ...secrets.map((secret) => this.#intern(secret))], snapshot);
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

  #intern({ type, name, body }: EnvoyResource) {
    return [type, this.#options.cache.intern(type, name, body)] as const;
  }

  #useIdentity(proxy: ServedProxy, instance: Instance, identity: ProxyIdentity | undefined): void {
    const before = servicesOf(proxy.identity);
    const now = servicesOf(identity);
    proxy.instance = instance;
    proxy.identity = identity;
    for (const service of now) if (!before.has(service)) this.#options.identities.use(service);
    for (const service of before) if (!now.has(service)) this.#options.identities.release(service);
  }
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
