import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ConsulReadings } from '../sources/consul/consul-readings.ts';

/** How old the copy may be while Consul changes: writing a large mesh costs, and Consul is the store. */
const WRITE_DELAY_MS = 5_000;
/** Raised whenever an older copy can no longer be read. */
const FORMAT = 1;

/** What was last read from Consul, in the data dir: adsum serves it after its own restart while Consul is away. */
export class ConsulCopy {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #pending: ConsulReadings | undefined;
  #cancel: () => void = () => {};

  constructor(options: { dataDir: string; clock: Clock; logger: Logger }) {
    this.#file = path.join(options.dataDir, 'last-good-consul.json');
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Undefined when there is none, or none that can be read: it is a copy, so that is no error. */
  load(): ConsulReadings | undefined {
    try {
      const { format, readings } = JSON.parse(readFileSync(this.#file, 'utf8')) as { format?: unknown; readings?: ConsulReadings };
      return format === FORMAT ? readings : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#logger.warn({ file: this.#file, error: String(error) }, 'the copy of what Consul said last cannot be read');
      }
      return undefined;
    }
  }

  save(readings: ConsulReadings): void {
    if (!this.#pending) this.#cancel = this.#clock.after(WRITE_DELAY_MS, () => this.flush());
    this.#pending = readings;
  }

  /** Writes what waits, at once. */
  flush(): void {
    this.#cancel();
    const readings = this.#pending;
    this.#pending = undefined;
    if (!readings) return;
    try {
      writeDurably(this.#file, JSON.stringify({ format: FORMAT, readings }));
    } catch (error) {
      this.#logger.warn({ file: this.#file, error: String(error) }, 'the copy of what Consul said last cannot be written');
    }
  }
}
