import { setMaxListeners } from 'node:events';
import { SERVED_KINDS } from '../../mesh/entry-traits.ts';
import type { Mesh } from '../../mesh/mesh.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { afterFailure, FIRST_QUERY } from './blocking-query.ts';
import { failingChecks, parseChecks, parseNodes, type RawCheck, type RawNode } from './catalog.ts';
import { type ConsulAnswer, type ConsulClient, ConsulError } from './consul-client.ts';
import { ConsulMeshBuilder } from './consul-mesh-builder.ts';
import { type ConsulCluster, type ConsulReadings, type ConsulRoots, parseCluster, parseRoots } from './consul-readings.ts';
import { virtualIpHolders } from './virtual-ip-holders.ts';
import { VirtualIpReader } from './virtual-ip-reader.ts';
import { pause, watchConsul } from './watch-consul.ts';

export interface ConsulSourceOptions {
  readonly client: ConsulClient;
  /** Another datacenter than the agent's. */
  readonly datacenter?: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The whole mesh as Consul has it now; for the first time when everything has answered. */
  readonly onMesh: (mesh: Mesh, readings: ConsulReadings) => void;
  /** Consul, or a part of what is read, does not answer; what was given stands. */
  readonly onAway: (reason: string) => void;
  /** Everything answers again, and what it said has been given. */
  readonly onBack: () => void;
}

/** Changes that come together are served together: a deployment is many writes. */
const GATHER_MS = 20;
/** Reading the catalog takes this part of the time at most, however often it changes. */
const CATALOG_SHARE = 0.2;
/** An election of a new leader takes about as long; it is not worth a word. */
const AWAY_AFTER_MS = 3_000;
/** A name's manual virtual IPs are read again about this often, and never more than ten names a second. */
const SWEEP_MS = 60_000;
const LEAST_SWEEP_STEP_MS = 100;
/** A large catalog takes Consul and the network some seconds. */
const CATALOG_TIMEOUT_MS = 60_000;

/** Follows a live Consul until the signal. */
export function startConsulSource(options: ConsulSourceOptions): { readonly done: Promise<void> } {
  // every watch and every request listens to it
  setMaxListeners(0, options.signal);
  return { done: new ConsulSource(options).run() };
}

/**
 * Thirteen blocking queries, however large the mesh: nine kinds of config entries, the CA's roots, the checks that are not passing,
 * and two that answer nothing but say that the catalog moved. Then the catalog is read whole, in one request.
 *
 * None of them is `stale`: what a server says that lags behind cannot be told from what a restored snapshot holds, and either would
 * be served.
 */
class ConsulSource {
  readonly #options: ConsulSourceOptions;
  readonly #virtualIps: VirtualIpReader;
  readonly #builder = new ConsulMeshBuilder();
  readonly #entries = new Map<string, readonly unknown[]>();
  readonly #failures = new Map<string, string>();
  #cluster: ConsulCluster | undefined;
  #roots: ConsulRoots | undefined;
  /** As of this index: the watch and the catalog both tell of checks, and the newer word counts. */
  #checks: { readonly failing: readonly RawCheck[]; readonly index: number } | undefined;
  #nodes: readonly RawNode[] | undefined;
  #catalogMoved = true;
  #catalogFailures = 0;
  /** When the catalog may be read again. */
  #catalogDueAt = 0;
  #catalogScheduled = false;
  #clusterAsked = false;
  #wake: () => void = () => {};
  #dirty = false;
  #cancelAway: (() => void) | undefined;
  #away = false;

  constructor(options: ConsulSourceOptions) {
    this.#options = options;
    this.#virtualIps = new VirtualIpReader(options.client);
  }

  async run(): Promise<void> {
    const watches = SERVED_KINDS.map((kind) => this.#watch(`/config/${kind}`, {}, ({ body }) => this.#entries.set(kind, Array.isArray(body) ? body : [])));
    await Promise.all([
      ...watches,
      this.#watch('/connect/ca/roots', {}, ({ body }) => {
        this.#roots = parseRoots(body) ?? this.#roots;
      }),
      this.#watch('/health/state/any', { filter: 'Status != passing' }, (answer, rewound) => this.#takeChecks(answer, rewound)),
      // The filters leave nothing of the answers; their indexes still move with the catalog.
      this.#watch('/catalog/services', { filter: 'ServiceName == ""' }, () => {
        this.#catalogMoved = true;
      }),
      this.#watch('/catalog/nodes', { filter: 'Node == ""' }, () => {
        this.#catalogMoved = true;
      }),
      this.#work(),
      this.#sweep(),
    ]);
  }

  #watch(path: string, query: Record<string, string>, take: (answer: ConsulAnswer, rewound: boolean) => void): Promise<void> {
    const { client, clock, random, signal } = this.#options;
    return watchConsul({
      client,
      path,
      query,
      clock,
      random,
      signal,
      onAnswer: (answer, rewound) => {
        if (rewound) this.#options.logger.info({ path }, "Consul's index went back: everything is read again");
        if (rewound) this.#forgetIndexes();
        take(answer, rewound);
        this.#changed();
      },
      onHealth: (failure) => this.#health(path, failure),
    });
  }

  /** What was read at a higher index is no longer newer. */
  #forgetIndexes(): void {
    this.#virtualIps.forget();
    if (this.#checks) this.#checks = { ...this.#checks, index: 0 };
  }

  #takeChecks({ body, index }: ConsulAnswer, rewound: boolean): void {
    const failing = parseChecks(body);
    if (failing && (rewound || index >= (this.#checks?.index ?? 0))) this.#checks = { failing, index };
  }

  /** One thing at a time: what changed meanwhile is found by the next turn. */
  async #work(): Promise<void> {
    const { clock, signal } = this.#options;
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      if (!this.#dirty) await new Promise<void>((resolve) => (this.#wake = resolve));
      await pause(clock, GATHER_MS, signal);
      if (signal.aborted) return;
      this.#dirty = false;
      try {
        await this.#turn();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ConsulError)) throw error;
        this.#catalogFailures += 1;
        this.#health('reading', error);
        await pause(clock, afterFailure({ ...FIRST_QUERY, failures: this.#catalogFailures - 1 }, this.#options.random(), error.retryAfterMs).delayMs, signal);
        this.#dirty = true;
        continue;
      }
      this.#catalogFailures = 0;
      this.#health('reading', undefined);
      if (this.#away && this.#failures.size === 0 && !this.#dirty) {
        this.#away = false;
        this.#options.onBack();
      }
    }
  }

  #changed(): void {
    this.#dirty = true;
    this.#wake();
  }

  async #turn(): Promise<void> {
    const { clock, datacenter, client, signal } = this.#options;
    if (!this.#clusterAsked) {
      const { body } = await client.request({ path: '/agent/self', signal });
      const cluster = parseCluster(body, datacenter);
      if (!cluster) throw new ConsulError('what answers /v1/agent/self is not Consul');
      this.#cluster = cluster;
      this.#clusterAsked = true;
    }
    if (this.#catalogMoved) {
      const wait = this.#catalogDueAt - clock.now();
      if (wait <= 0) await this.#readCatalog();
      else this.#readCatalogIn(wait);
    }
    await this.#give();
  }

  #readCatalogIn(delayMs: number): void {
    if (this.#catalogScheduled) return;
    this.#catalogScheduled = true;
    this.#options.clock.after(delayMs, () => {
      this.#catalogScheduled = false;
      this.#changed();
    });
  }

  async #readCatalog(): Promise<void> {
    const { client, clock, signal } = this.#options;
    this.#catalogMoved = false;
    const began = clock.now();
    try {
      const answer = await client.request({ path: '/internal/ui/nodes', timeoutMs: CATALOG_TIMEOUT_MS, signal });
      if (answer.filteredByAcl) throw new ConsulError('the token may not read all nodes and services; see the policy in docs/consul.md', { status: 403 });
      const nodes = parseNodes(answer.body);
      if (!nodes) throw new ConsulError('the nodes that Consul lists cannot be read');
      this.#nodes = nodes;
      if (answer.index >= (this.#checks?.index ?? 0)) this.#checks = { failing: failingChecks(nodes), index: answer.index };
    } catch (error) {
      this.#catalogMoved = true;
      throw error;
    }
    const now = clock.now();
    this.#catalogDueAt = now + (now - began) * (1 / CATALOG_SHARE - 1);
  }

  /** Puts together what is known and hands it over, if all of it is known and it differs from the last. */
  async #give(): Promise<void> {
    const [cluster, roots, nodes, checks] = [this.#cluster, this.#roots, this.#nodes, this.#checks];
    if (!cluster || !roots || !nodes || !checks || this.#entries.size < SERVED_KINDS.length) return;
    const rawEntries = SERVED_KINDS.flatMap((kind) => this.#entries.get(kind) ?? []);
    const read = this.#builder.read(nodes, checks.failing, rawEntries);
    await this.#virtualIps.ensure(virtualIpHolders(read.catalog, read.entries), this.#options.signal);
    const virtualIps = this.#virtualIps.known;
    const mesh = this.#builder.build({ cluster, roots, virtualIps, ...read, problems: this.#virtualIps.problems });
    if (mesh) this.#options.onMesh(mesh, { cluster, roots, nodes, failing: checks.failing, entries: rawEntries, virtualIps: Object.fromEntries(virtualIps) });
  }

  /** Reads one name after the other again, for the virtual IPs that somebody set by hand: nothing tells of them. */
  async #sweep(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      const names = [...this.#virtualIps.known.keys()];
      await pause(clock, names.length === 0 ? SWEEP_MS / 10 : 0, signal);
      for (const name of names) {
        await pause(clock, Math.max(LEAST_SWEEP_STEP_MS, SWEEP_MS / names.length), signal);
        if (signal.aborted) return;
        if (this.#failures.size > 0) continue;
        try {
          if (await this.#virtualIps.refresh(name, signal)) this.#changed();
        } catch (error) {
          if (!(error instanceof ConsulError)) throw error;
        }
      }
    }
  }

  #health(what: string, failure: ConsulError | undefined): void {
    const { clock, logger, onAway } = this.#options;
    if (failure) {
      if (!this.#failures.has(what)) logger.debug({ what, reason: failure.message }, 'a query to Consul failed');
      this.#failures.set(what, failure.message);
      // whoever answers next may have been set up differently
      this.#clusterAsked = false;
      if (this.#away) return;
      this.#cancelAway ??= clock.after(AWAY_AFTER_MS, () => {
        this.#away = true;
        onAway([...this.#failures.values()][0] ?? 'Consul does not answer');
      });
      return;
    }
    if (!this.#failures.delete(what)) return;
    this.#changed();
    if (this.#failures.size > 0) return;
    this.#cancelAway?.();
    this.#cancelAway = undefined;
  }
}
