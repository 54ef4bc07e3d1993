import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';

/** Streams that come and go together are told together. */
const TOLD_EVERY_MS = 1000;
/** So many proxies are named in one line. */
const NAMED = 5;
/** So many refusals have a line of their own; the others of the same second are counted. */
const REFUSALS_TOLD = 10;

/**
 * Says which streams were opened, closed and refused: one line for all of a second, and a few for refusals, so that neither a storm of
 * connects nor an attack becomes a storm of lines.
 */
export class StreamLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #open: () => number;
  #opened: string[] = [];
  #closed: string[] = [];
  #openedCount = 0;
  #closedCount = 0;
  #refusedCount = 0;
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

  /** @param message what was refused */
  refused(fields: object, message: string): void {
    if (++this.#refusedCount <= REFUSALS_TOLD) this.#logger.warn(fields, message);
    this.#schedule();
  }

  /** Says what is left to say. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const opened = this.#openedCount > 0 && { opened: this.#openedCount, opened_by: this.#opened };
    const closed = this.#closedCount > 0 && { closed: this.#closedCount, closed_by: this.#closed };
    const more = this.#refusedCount - REFUSALS_TOLD;
    if (more > 0) this.#logger.warn({ more }, 'more streams and connections were refused');
    this.#refusedCount = 0;
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
