import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';

/** Streams that come and go together are told together. */
const TOLD_EVERY_MS = 1000;
/** So many proxies are named in one line. */
const NAMED = 5;

/** Says which streams were opened and closed: one line for all of a second, so that a storm of connects does not become one of lines. */
export class StreamLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #open: () => number;
  #opened: string[] = [];
  #closed: string[] = [];
  #openedCount = 0;
  #closedCount = 0;
  #cancel: (() => void) | undefined;

  /** @param open how many there are now */
  constructor(logger: Logger, clock: Clock, open: () => number) {
    this.#logger = logger;
    this.#clock = clock;
    this.#open = open;
  }

  opened(proxy: string): void {
    this.#openedCount++;
    if (this.#opened.length < NAMED) this.#opened.push(proxy);
    this.#schedule();
  }

  closed(proxy: string): void {
    this.#closedCount++;
    if (this.#closed.length < NAMED) this.#closed.push(proxy);
    this.#schedule();
  }

  /** Says what is left to say. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const opened = this.#openedCount > 0 && { opened: this.#openedCount, opened_by: this.#opened };
    const closed = this.#closedCount > 0 && { closed: this.#closedCount, closed_by: this.#closed };
    if (opened || closed) this.#logger.info({ ...opened, ...closed, open: this.#open() }, 'streams');
    this.#opened = [];
    this.#closed = [];
    this.#openedCount = 0;
    this.#closedCount = 0;
  }

  #schedule(): void {
    this.#cancel ??= this.#clock.after(TOLD_EVERY_MS, () => this.flush());
  }
}
