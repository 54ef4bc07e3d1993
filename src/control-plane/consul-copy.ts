import path from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ConsulReadings } from '../sources/consul/consul-readings.ts';
import { KeptCopy } from './kept-copy.ts';

/** How old the copy may be while Consul changes: writing a large mesh costs, and Consul is the store. */
const WRITE_DELAY_MS = 5_000;
/** Raised whenever an older copy can no longer be read. */
const FORMAT = 1;

/** What was last read from Consul, in the data dir: adsum serves it after its own restart while Consul is away. */
export class ConsulCopy {
  readonly #copy: KeptCopy<ConsulReadings>;

  constructor({ dataDir, clock, logger }: { dataDir: string; clock: Clock; logger: Logger }) {
    const file = path.join(dataDir, 'last-good-consul.json');
    this.#copy = new KeptCopy({ file, of: 'what Consul said last', delayMs: WRITE_DELAY_MS, parse, clock, logger });
  }

  load(): ConsulReadings | undefined {
    return this.#copy.load();
  }

  save(readings: ConsulReadings): void {
    this.#copy.save(() => ({ format: FORMAT, readings }));
  }

  /** Writes what waits, at once. */
  flush(): void {
    this.#copy.flush();
  }
}

function parse(json: unknown): ConsulReadings | undefined {
  const { format, readings } = json as { format?: unknown; readings?: ConsulReadings };
  return format === FORMAT ? readings : undefined;
}
