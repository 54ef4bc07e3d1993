import { neighbourhood } from './client-networks.ts';

export interface AnswerRate {
  /** Bytes of answers that may go out together. */
  readonly atOnce: number;
  readonly perSecond: number;
}

/** To one /24 (IPv4) or /56 (IPv6): two thousand small answers a second, and nothing that would hurt if the source was forged. */
const RATE: AnswerRate = { atOnce: 256 * 1024, perSecond: 128 * 1024 };
/** Nobody outside can forge a loopback address; all applications of a host share it. */
const LOOPBACK_RATE: AnswerRate = { atOnce: 512 * 1024, perSecond: 256 * 1024 };
/** Networks that are remembered; the one that has not asked for longest is forgotten first. */
const MOST_NETWORKS = 10_000;

/**
 * How much is answered over UDP, by network of the client. An answer that is larger than its question can be aimed at somebody else by
 * forging the source address, so what goes to one network is bounded; above that clients are told to come over TCP.
 */
export class AnswerBudget {
  readonly #left = new Map<string, { bytes: number; at: number }>();
  readonly #rate: AnswerRate | undefined;

  /** @param rate for tests: the same for every network */
  constructor(rate?: AnswerRate) {
    this.#rate = rate;
  }

  /** @returns whether the answer may go out whole */
  take(client: string, bytes: number, now: number): boolean {
    const { key, loopback } = neighbourhood(client);
    const { atOnce, perSecond } = this.#rate ?? (loopback ? LOOPBACK_RATE : RATE);
    const before = this.#left.get(key) ?? { bytes: atOnce, at: now };
    const available = Math.min(atOnce, before.bytes + (Math.max(0, now - before.at) * perSecond) / 1000);
    const fits = bytes <= available;
    this.#left.delete(key);
    this.#left.set(key, { bytes: fits ? available - bytes : available, at: now });
    if (this.#left.size > MOST_NETWORKS) for (const [oldest] of this.#left) return this.#left.delete(oldest) && fits;
    return fits;
  }

  get networks(): number {
    return this.#left.size;
  }
}
