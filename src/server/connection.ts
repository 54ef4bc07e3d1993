import type { ServerHttp2Session } from 'node:http2';
import type { Clock } from '../runtime/clock.ts';
import { Budget } from './budget.ts';
import type { XdsLimits } from './limits.ts';
import { Pace } from './pace.ts';

/** A stream, as the connection that carries it sees it. */
export interface CarriedStream {
  /** The client has been sent something that it has not answered. */
  readonly unanswered: boolean;
}

/** How often a silent client is asked for a sign of life. */
const PING_MS = 30_000;
/**
 * So many pings in a row without anything heard and a client that owes no answer is gone. Counted and not timed: while adsum itself was
 * too busy to read, no ping was sent either.
 */
const PINGS_WHEN_IDLE = 2;
/**
 * A client that owes an answer may be busy: Envoy takes up to a tenth of a second for each new cluster, on the thread that would answer
 * a ping. Only after ten minutes it is taken for gone. (A process that ends closes its connection; this is about lost power and cut cables.)
 */
const PINGS_WHEN_BUSY = 20;

/** One connection of a client: what its streams use together, and whether it is alive. */
export class Connection {
  readonly streams: Budget;
  readonly names: Budget;
  readonly inboundBytes: Budget;
  readonly pace: Pace;
  readonly carried = new Set<CarriedStream>();
  readonly #session: ServerHttp2Session;
  readonly #clock: Clock;
  #bytesRead = 0;
  #silentPings = 0;

  constructor(session: ServerHttp2Session, limits: XdsLimits, clock: Clock) {
    this.streams = new Budget('streams on one connection', limits.streamsPerConnection);
    this.names = new Budget('resource names on one connection', limits.namesPerConnection);
    this.inboundBytes = new Budget('bytes of requests on one connection', limits.inboundBytesPerConnection);
    this.pace = new Pace(limits.requestsAtOnce, limits.requestsPerSecond, clock.now());
    this.#session = session;
    this.#clock = clock;
    this.#watch();
  }

  /** Ends the connection of a client that is gone. */
  #watch(): void {
    const session = this.#session;
    const cancel = this.#clock.after(PING_MS, () => {
      session.off('close', cancel);
      if (session.destroyed || session.closed) return;
      const { bytesRead } = session.socket;
      if (bytesRead !== this.#bytesRead) this.#silentPings = 0;
      this.#bytesRead = bytesRead;
      const busy = [...this.carried].some(({ unanswered }) => unanswered);
      if (this.#silentPings >= (busy ? PINGS_WHEN_BUSY : PINGS_WHEN_IDLE)) {
        session.destroy();
        return;
      }
      this.#silentPings++;
      // its answer is heard as bytes; Node does not send more than ten that are unanswered, which is enough
      session.ping(() => {});
      this.#watch();
    });
    session.once('close', cancel);
  }
}
