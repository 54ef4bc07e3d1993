/** How fast a client may ask: a store of permissions that fills up evenly and that each request takes from. */
export class Pace {
  readonly #most: number;
  readonly #perMs: number;
  #left: number;
  #at: number;

  /** @param now milliseconds */
  constructor(most: number, perSecond: number, now: number) {
    this.#most = most;
    this.#perMs = perSecond / 1000;
    this.#left = most;
    this.#at = now;
  }

  /** @returns how long to wait before the next request is read, in milliseconds; 0: not at all */
  take(cost: number, now: number): number {
    // a clock that goes back gives nothing
    this.#left = Math.min(this.#most, this.#left + Math.max(0, now - this.#at) * this.#perMs) - cost;
    this.#at = now;
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#perMs);
  }
}
