import type { Mesh } from '../mesh/mesh.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ConsulClient } from '../sources/consul/consul-client.ts';
import { meshOfReadings } from '../sources/consul/consul-mesh-builder.ts';
import type { ConsulReadings } from '../sources/consul/consul-readings.ts';
import { startConsulSource } from '../sources/consul/consul-source.ts';
import { ConsulCopy } from './consul-copy.ts';
import type { MeshSink, MeshSource } from './mesh-source.ts';

export interface ConsulMeshSourceOptions {
  readonly client: ConsulClient;
  /** Another datacenter than the agent's. */
  readonly datacenter?: string | undefined;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Called with what a mesh was made of, just before it is given. */
  readonly onReadings: (readings: ConsulReadings) => void;
}

/** A live Consul, or while it is away what it said last: before a restart, too. */
export class ConsulMeshSource implements MeshSource {
  readonly #options: ConsulMeshSourceOptions;
  readonly #copy: ConsulCopy;
  readonly #ending = new AbortController();
  #hasGiven = false;
  #awayBecause: string | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(options: ConsulMeshSourceOptions) {
    this.#options = options;
    this.#copy = new ConsulCopy(options);
  }

  load(sink: MeshSink): void {
    sink.markStale(`Consul at ${this.#options.client.address} has not been read yet`, []);
  }

  async watch(sink: MeshSink): Promise<void> {
    const { client, datacenter, clock, random, logger } = this.#options;
    this.#following = startConsulSource({
      client,
      ...(datacenter === undefined ? {} : { datacenter }),
      clock,
      random,
      logger,
      signal: this.#ending.signal,
      onMesh: (mesh, readings) => {
        const { version } = readings.cluster;
        if (!this.#hasGiven) logger.info({ consul: client.address, version, instances: mesh.instances.length }, 'Consul has been read');
        this.#give(sink, mesh, readings);
        this.#copy.save(readings);
      },
      onAway: (reason) => {
        logger.warn({ consul: client.address, reason }, 'Consul is away; what it said last is served');
        this.#awayBecause = `Consul is away: ${reason}`;
        const old = this.#hasGiven ? undefined : this.#copy.load();
        const mesh = old && meshOfReadings(old);
        if (old && mesh) this.#give(sink, mesh, old);
        sink.markStale(this.#awayBecause);
      },
      onBack: () => {
        logger.info({ consul: client.address }, 'Consul is back');
        this.#awayBecause = undefined;
        sink.markFresh();
      },
    }).done;
    // A bug in the loop must not leave a process behind that looks alive and follows nothing.
    this.#following.catch((error: unknown) => {
      queueMicrotask(() => {
        throw error;
      });
    });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#following.catch(() => {});
    this.#copy.flush();
  }

  #give(sink: MeshSink, mesh: Mesh, readings: ConsulReadings): void {
    this.#hasGiven = true;
    this.#options.onReadings(readings);
    sink.load({ mesh, problems: mesh.problems });
    // a part of Consul may still answer; what the rest says is old
    if (this.#awayBecause !== undefined) sink.markStale(this.#awayBecause);
  }
}
