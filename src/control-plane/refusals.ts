import type { Clock } from '../runtime/clock.ts';
import type { ConnectedNode } from '../server/proxy-directory.ts';
import type { Refusal } from './admission.ts';

/** Envoy tries again every half minute at the latest: a refusal that is older has been seen to, or its Envoy is gone. */
const NEWS_MS = 10 * 60_000;
/** Refusals kept, one per proxy. */
const MOST_REFUSALS = 1_000;

type ProxyName = Pick<ConnectedNode, 'id' | 'nodeName'>;

/** The last refusal of each proxy, while it is news. */
export class Refusals {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #last = new Map<string, Refusal>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False: the same reason as before, which has been told. Envoy repeats its attempts every other second. */
  add({ id, nodeName, peer }: ConnectedNode, reason: string): boolean {
    const key = keyOf({ id, nodeName });
    const at = this.#clock.now();
    const before = this.#last.get(key);
    this.#last.delete(key);
    this.#last.set(key, { id, nodeName, peer, reason, at });
    const [oldest] = this.#last.keys();
    if (oldest !== undefined && this.#last.size > MOST_REFUSALS) this.#last.delete(oldest);
    return before === undefined || before.reason !== reason || !this.#isNews(before);
  }

  /** Called when a stream of the proxy is served. */
  forget(proxy: ProxyName): void {
    this.#last.delete(keyOf(proxy));
  }

  list(): Refusal[] {
    return [...this.#last.values()].filter((refusal) => this.#isNews(refusal));
  }

  #isNews({ at }: Refusal): boolean {
    return this.#clock.now() - at < NEWS_MS;
  }
}

function keyOf({ id, nodeName }: ProxyName): string {
  return JSON.stringify([id, nodeName]);
}
