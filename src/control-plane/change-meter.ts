import type { Metrics } from '../runtime/metrics.ts';

/** Called when a stream has answered everything that it was sent, with the bytes that this took. */
export type Answered = (bytes: number) => void;

/** Changes that came while one was being worked out are one: their proxies cannot be told apart. */
interface Change {
  readonly kinds: Set<string>;
  readonly startMs: number;
  /** More may come of it. */
  open: boolean;
  proxies: number;
  bytes: number;
  unanswered: number;
}

/**
 * Measures changes, by kind: from the moment one was noticed to the last answer of a proxy that it touched. A kind is a kind of config
 * entry, or `instances`, `virtual-ips`, `leaf`, `roots`.
 */
export class ChangeMeter {
  readonly #metrics: Metrics;
  readonly #nowMs: () => number;
  #change: Change | undefined;

  /** @param nowMs milliseconds that never go back */
  constructor(metrics: Metrics, nowMs: () => number) {
    this.#metrics = metrics;
    this.#nowMs = nowMs;
  }

  /** Something changed. What proxies are given until `workedOut` belongs to it. */
  begin(kinds: Iterable<string>): void {
    for (const kind of kinds) {
      this.#change ??= { kinds: new Set(), startMs: this.#nowMs(), open: true, proxies: 0, bytes: 0, unanswered: 0 };
      this.#change.kinds.add(kind);
    }
  }

  /** A proxy is given something new. @returns what each of its streams is to call; undefined when no change is the reason */
  handOver(streams: number): Answered | undefined {
    const change = this.#change;
    if (!change) return undefined;
    change.proxies += 1;
    change.unanswered += streams;
    return (bytes) => {
      change.bytes += bytes;
      change.unanswered -= 1;
      this.#finish(change);
    };
  }

  /** Nothing more comes of what was begun. */
  workedOut(): void {
    const change = this.#change;
    if (!change) return;
    this.#change = undefined;
    change.open = false;
    this.#metrics.rebuildSeconds.observe((this.#nowMs() - change.startMs) / 1000);
    this.#finish(change);
  }

  #finish({ open, unanswered, kinds, startMs, proxies, bytes }: Change): void {
    if (open || unanswered > 0) return;
    const seconds = (this.#nowMs() - startMs) / 1000;
    for (const kind of kinds) {
      this.#metrics.changeSeconds.observe({ kind }, seconds);
      this.#metrics.changeProxies.inc({ kind }, proxies);
      this.#metrics.changeBytes.inc({ kind }, bytes);
    }
  }
}
