import type { Logger } from '../runtime/logger.ts';
import { askRecursor, type Recursor, type Transport } from './recursor.ts';

export interface ForwarderOptions {
  /** Asked in this order until one replies. */
  readonly recursors: readonly Recursor[];
  /** For each of them; default 2 s. */
  readonly timeoutMs?: number;
  /** Queries under way at once; more are answered SERVFAIL. Default 512. */
  readonly mostInFlight?: number;
  readonly logger: Logger;
}

/** Passes questions on to other DNS servers. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #attempts = new Set<AbortController>();
  #inFlight = 0;
  #closed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  get enabled(): boolean {
    return this.#options.recursors.length > 0;
  }

  /**
   * The reply of the first recursor that gives one; `undefined` when none does or too many queries are under way. A cut
   * reply stays cut: the client then asks over TCP, and so does the forwarder.
   */
  async forward(query: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const { recursors, mostInFlight = 512 } = this.#options;
    if (this.#inFlight >= mostInFlight) return undefined;
    this.#inFlight += 1;
    try {
      for (const recursor of recursors) {
        const reply = this.#closed ? undefined : await this.#attempt(query, recursor, transport);
        if (reply) return reply;
      }
      return undefined;
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Gives up whatever is under way. */
  close(): void {
    this.#closed = true;
    for (const attempt of this.#attempts) attempt.abort(new Error('closing'));
  }

  async #attempt(query: Buffer, recursor: Recursor, transport: Transport): Promise<Buffer | undefined> {
    const { timeoutMs = 2_000, logger } = this.#options;
    const attempt = new AbortController();
    const timer = setTimeout(() => attempt.abort(new Error(`no reply within ${timeoutMs} ms`)), timeoutMs);
    this.#attempts.add(attempt);
    try {
      return await askRecursor(query, recursor, transport, attempt.signal);
    } catch (error) {
      logger.debug({ recursor: recursor.address, error: (error as Error).message }, 'a DNS recursor did not answer');
      return undefined;
    } finally {
      clearTimeout(timer);
      this.#attempts.delete(attempt);
    }
  }
}
