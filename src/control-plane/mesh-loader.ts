import type { Mesh } from '../mesh/mesh.ts';
import { formatProblem, type Problem } from '../mesh/problem.ts';
import type { Realm } from '../mesh/spiffe-id.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { StateError } from '../runtime/state-error.ts';
import { buildTopology, type MeshTopology } from '../topology/build-topology.ts';
import type { LoadResult, MeshSink } from './mesh-source.ts';
import type { VirtualIps } from './virtual-ips.ts';

export interface MeshLoaderOptions {
  readonly virtualIps: VirtualIps;
  /** What the CA vouches for. A mesh that asks for another is refused: every identity would change. */
  readonly realm: () => Realm | undefined;
  readonly now: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Called with the topology once there is one, and again after each update of it with the kinds of things that it changed. */
  readonly serve: (topology: MeshTopology, changed: ReadonlySet<string>) => void;
}

/** Turns what a source reads into what is served: the new mesh whole, or not at all; then the old one stays. */
export class MeshLoader implements MeshSink {
  readonly #options: MeshLoaderOptions;
  #topology: MeshTopology | undefined;
  #problems: readonly Problem[] = [];
  #stale: string | undefined;
  #served = false;

  constructor(options: MeshLoaderOptions) {
    this.#options = options;
  }

  /** Defects of the newest input, also when it is not what is served. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Why the served mesh is not the newest; undefined when it is. */
  get stale(): string | undefined {
    return this.#stale;
  }

  get served(): boolean {
    return this.#served;
  }

  /** @returns whether the mesh is served now */
  load(result: LoadResult): boolean {
    const { mesh } = result;
    const refusals = mesh ? this.#refusals(mesh) : [];
    if (!mesh || refusals.length > 0) return this.#keepOld([...refusals, ...result.problems]);
    let addresses: ReadonlyMap<string, string>;
    let addressProblems: readonly Problem[];
    try {
      ({ addresses, problems: addressProblems } = this.#options.virtualIps.assign(mesh, this.#options.now()));
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      return this.#keepOld([{ code: 'state-not-writable', severity: 'error', message: error.message, hint: 'free space or mend its permissions' }]);
    }
    const facts = { trustDomain: this.#options.realm()?.trustDomain ?? mesh.trustDomain ?? '', virtualIps: addresses };
    const changed = this.#topology?.update(mesh, facts) ?? new Set();
    this.#topology ??= buildTopology(mesh, facts);
    const topology = this.#topology;
    this.#report([...result.problems, ...addressProblems, ...topology.virtualAddressProblems()]);
    this.markFresh();
    this.#served = true;
    this.#options.metrics.meshLoads.inc({ result: 'ok' });
    this.#options.serve(topology, changed);
    this.#options.logger.info({ services: topology.callableServices.length, instances: mesh.instances.length }, 'the mesh is served');
    return true;
  }

  /** Says that what is served, if anything, is not the newest. */
  markStale(reason: string, problems: readonly Problem[] = this.#problems): void {
    this.#stale = reason;
    this.#report(problems);
    this.#options.metrics.meshStale.set(1);
  }

  /** What is served is what the source has. */
  markFresh(): void {
    this.#stale = undefined;
    this.#options.metrics.meshStale.set(0);
  }

  #keepOld(problems: readonly Problem[]): false {
    this.#options.metrics.meshLoads.inc({ result: 'error' });
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    this.markStale(`the newest mesh has ${errors} error${errors === 1 ? '' : 's'}; the last good one is served`, problems);
    this.#options.logger.error({ errors }, 'the new mesh is not served; the old one stays');
    return false;
  }

  #refusals(mesh: Mesh): Problem[] {
    const realm = this.#options.realm();
    if (!realm) return [];
    const { trustDomain, datacenter } = realm;
    const refusals: Problem[] = [];
    if (mesh.trustDomain !== undefined && mesh.trustDomain !== trustDomain) {
      refusals.push({
        code: 'trust-domain-changed',
        severity: 'error',
        message: `the mesh asks for trust domain '${mesh.trustDomain}', but the CA in the data dir stands for '${trustDomain}'`,
        hint: 'take trust_domain out of the mesh, or start with another --data-dir',
      });
    }
    if (mesh.datacenter !== datacenter) {
      refusals.push({
        code: 'datacenter-changed',
        severity: 'error',
        message: `the mesh says datacenter '${mesh.datacenter}', but this process serves '${datacenter}'`,
        hint: 'restart adsum to serve another datacenter',
      });
    }
    return refusals;
  }

  #report(problems: readonly Problem[]): void {
    const known = new Set(this.#problems.map(formatProblem));
    for (const problem of problems) {
      const line = formatProblem(problem);
      if (!known.has(line)) this.#options.logger[problem.severity === 'error' ? 'error' : 'warn']({ code: problem.code }, line);
    }
    this.#problems = problems;
    for (const severity of ['error', 'warning'] as const) {
      this.#options.metrics.problems.set({ severity }, problems.filter((problem) => problem.severity === severity).length);
    }
  }
}
