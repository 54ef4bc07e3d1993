import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { Watchable } from './watchable.ts';

/** How often it is read again. Reading small files costs less than watching them, and sees every way of replacing them. */
const DEFAULT_PERIOD_MS = 2_000;

export interface ReloadedOptions<Value> {
  /** Reads files. Throws while they cannot be used, as happens while a pair of them is being replaced: then the value before stays. */
  readonly read: () => Value;
  /** What it is, for the log. */
  readonly what: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly periodMs?: number;
}

/** What stands in files, read again when they change. @throws what `read` throws, at the start only */
export class Reloaded<Value> implements Watchable<Value> {
  readonly #options: ReloadedOptions<Value>;
  readonly #listeners = new Set<(value: Value) => void>();
  #value: Value;
  #failure: string | undefined;
  #cancel = () => {};

  constructor(options: ReloadedOptions<Value>) {
    this.#options = options;
    this.#value = options.read();
    this.#schedule();
  }

  get value(): Value {
    return this.#value;
  }

  onChange(listener: (value: Value) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#cancel();
    this.#listeners.clear();
  }

  #schedule(): void {
    const { clock, periodMs = DEFAULT_PERIOD_MS } = this.#options;
    this.#cancel = clock.after(periodMs, () => {
      this.#look();
      this.#schedule();
    });
  }

  #look(): void {
    const { read, what, logger } = this.#options;
    let next: Value;
    try {
      next = read();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#failure) logger.error({ reason }, `${what} cannot be used as it is now; what was read before stays in force`);
      this.#failure = reason;
      return;
    }
    this.#failure = undefined;
    if (JSON.stringify(next) === JSON.stringify(this.#value)) return;
    this.#value = next;
    logger.info({}, `${what} has changed and is in force`);
    for (const listener of [...this.#listeners]) listener(next);
  }
}
