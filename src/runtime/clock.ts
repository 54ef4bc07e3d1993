/** Time as a parameter, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `action` once, `delayMs` from now; the returned function cancels it. Never keeps the process alive. */
  after(delayMs: number, action: () => void): () => void;
}

/** setTimeout overflows above 2^31-1 ms (about 24.8 days) and would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, action) {
    if (delayMs > MAX_TIMEOUT_MS) {
      let cancelRest = () => {};
      const cancelFirst = systemClock.after(MAX_TIMEOUT_MS, () => {
        cancelRest = systemClock.after(delayMs - MAX_TIMEOUT_MS, action);
      });
      return () => {
        cancelFirst();
        cancelRest();
      };
    }
    const timer = setTimeout(action, Math.max(0, delayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until `advance` moves it; timers fire in order of their time. */
export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; action: () => void }[] = [];

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#now = due.at;
      due.action();
    }
    this.#now = end;
  }
}
