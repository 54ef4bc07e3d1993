/** How long one slice of work may hold the event loop: streams, health checks and DNS wait meanwhile. */
const SLICE_MS = 8;

/**
 * Runs `work` for every item once, in slices between which the process does everything else. An item added again while it waits
 * is still done once. Items first in are first out; `drained` is called each time nothing is left.
 */
export class WorkQueue<Item> {
  readonly #waiting = new Set<Item>();
  readonly #work: (item: Item) => void;
  readonly #drained: () => void;
  readonly #now: () => number;
  #scheduled = false;

  constructor(options: { work: (item: Item) => void; drained?: () => void; now?: () => number }) {
    this.#work = options.work;
    this.#drained = options.drained ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(items: Iterable<Item>): void {
    for (const item of items) this.#waiting.add(item);
    this.#schedule();
  }

  remove(item: Item): void {
    this.#waiting.delete(item);
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const end = this.#now() + SLICE_MS;
      for (const item of this.#waiting) {
        this.#waiting.delete(item);
        this.#work(item);
        if (this.#now() >= end) break;
      }
      if (this.#waiting.size === 0) this.#drained();
      this.#schedule();
    });
  }
}
