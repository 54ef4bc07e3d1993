/** How long one slice of work may hold the event loop, in milliseconds. Answers of clients, health checks, DNS and timers wait meanwhile. */
const SLICE_MS = 4;

export interface FairQueueOptions<Item> {
  readonly work: (item: Item) => void;
  /** Called each time nothing is left. */
  readonly drained?: () => void;
  /** Milliseconds that never go back; default `performance.now`. */
  readonly now?: () => number;
  /** Puts the next slice behind the work that the process has already; default `setImmediate`. */
  readonly schedule?: (slice: () => void) => void;
}

/**
 * Does `work` for every item, first in first out, in slices of a few milliseconds. Between two slices the process reads from its
 * sockets and runs its timers, so a long queue delays them by one slice and not by the whole queue.
 * An item that is added again while it waits keeps its place and is done once.
 */
export class FairQueue<Item> {
  readonly #waiting = new Set<Item>();
  readonly #work: (item: Item) => void;
  readonly #drained: () => void;
  readonly #now: () => number;
  readonly #scheduleSlice: (slice: () => void) => void;
  #scheduled = false;

  constructor({ work, drained = () => {}, now = () => performance.now(), schedule = setImmediate }: FairQueueOptions<Item>) {
    this.#work = work;
    this.#drained = drained;
    this.#now = now;
    this.#scheduleSlice = schedule;
  }

  /** Items that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  add(item: Item): void {
    this.#waiting.add(item);
    this.#schedule();
  }

  remove(item: Item): void {
    this.#waiting.delete(item);
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    this.#scheduleSlice(() => this.#slice());
  }

  /** At least one item, so that the queue moves on even where one item takes longer than a slice. */
  #slice(): void {
    this.#scheduled = false;
    const end = this.#now() + SLICE_MS;
    try {
      for (const item of this.#waiting) {
        this.#waiting.delete(item);
        this.#work(item);
        if (this.#now() >= end) break;
      }
    } finally {
      this.#schedule();
    }
    if (this.#waiting.size === 0) this.#drained();
  }
}
