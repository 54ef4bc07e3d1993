/** Time as a parameter, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since the epoch, as the machine believes; it may be set ahead and back. */
  now(): number;
  /** Milliseconds since a moment in the past. Never set: for how long something takes or waits. */
  monotonic(): number;
  /** Calls `action` once, `delayMs` from now; the returned function cancels it. Never keeps the process alive. */
  after(delayMs: number, action: () => void): () => void;
}

/** setTimeout overflows above 2^31-1 ms (about 24.8 days) and would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
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
  #elapsed = 0;
  /** What the time of day has in advance of the time that passed. */
  #ahead: number;
  #timers: { at: number; action: () => void }[] = [];

  constructor(startMs = 0) {
    this.#ahead = startMs;
  }

  now(): number {
    return this.#ahead + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** Sets the time of day ahead, or back; no time passes. */
  jump(ms: number): void {
    this.#ahead += ms;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#elapsed + Math.max(0, delayMs), action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#elapsed = due.at;
      due.action();
    }
    this.#elapsed = end;
  }
}
