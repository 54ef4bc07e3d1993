import { isLogged, type Logger } from '../runtime/logger.ts';
import { Places } from './places.ts';
import { askRecursor, type Recursor, type Transport } from './recursor.ts';

export interface ForwarderOptions {
  /** Asked in this order until one replies. */
  readonly recursors: readonly Recursor[];
  /** For each of them; default 2 s. */
  readonly timeoutMs?: number;
  /** Questions under way at once, in all and of one client; default 512 and 128. One more ends the oldest, which is answered SERVFAIL. */
  readonly mostInFlight?: number;
  readonly mostPerClient?: number;
  /** Called when that happens. */
  readonly limited?: () => void;
  readonly logger: Logger;
}

/** Passes questions on to other DNS servers. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #asked = new Set<AbortController>();
  readonly #places: Places<AbortController>;
  #closed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    const { mostInFlight: most = 512, mostPerClient = 128, limited } = options;
    const evict = (asked: AbortController) => {
      limited?.();
      asked.abort(new Error('another question took its place'));
    };
    this.#places = new Places({ most, mostPerClient, evict });
  }

  get enabled(): boolean {
    return this.#options.recursors.length > 0;
  }

  /**
   * The reply of the first recursor that gives one; `undefined` when none does, or when newer questions took the place of this one. A cut
   * reply stays cut: the client then asks over TCP, and so does the forwarder.
   */
  async forward(query: Buffer, transport: Transport, client: string): Promise<Buffer | undefined> {
    const asked = new AbortController();
    this.#asked.add(asked);
    this.#places.take(client, asked);
    try {
      for (const recursor of this.#options.recursors) {
        const reply = this.#closed || asked.signal.aborted ? undefined : await this.#attempt(query, recursor, transport, asked.signal);
        if (reply) return reply;
      }
      return undefined;
    } finally {
      this.#places.give(client, asked);
      this.#asked.delete(asked);
    }
  }

  /** Gives up whatever is under way. */
  close(): void {
    this.#closed = true;
    for (const asked of this.#asked) asked.abort(new Error('closing'));
  }

  async #attempt(query: Buffer, recursor: Recursor, transport: Transport, given: AbortSignal): Promise<Buffer | undefined> {
    const { timeoutMs = 2_000, logger } = this.#options;
    const attempt = new AbortController();
    const timer = setTimeout(() => attempt.abort(new Error(`no reply within ${timeoutMs} ms`)), timeoutMs);
    const giveUp = () => attempt.abort(given.reason);
    given.addEventListener('abort', giveUp, { once: true });
    try {
      return await askRecursor(query, recursor, transport, attempt.signal);
    } catch (error) {
      if (isLogged(logger, 'debug')) logger.debug({ recursor: recursor.address, error: (error as Error).message }, 'a DNS recursor did not answer');
      return undefined;
    } finally {
      clearTimeout(timer);
      given.removeEventListener('abort', giveUp);
    }
  }
}
