import type { Clock } from '../../runtime/clock.ts';
import { afterAnswer, afterFailure, type BlockingQuery, FIRST_QUERY } from './blocking-query.ts';
import { type ConsulAnswer, type ConsulClient, ConsulError } from './consul-client.ts';

export interface WatchOptions {
  readonly client: ConsulClient;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Something new, or the same after a failure. `rewound`: the index went back, so this is not the state of before plus changes. */
  readonly onAnswer: (answer: ConsulAnswer, rewound: boolean) => void;
  /** Called for every answer and every failure: whether Consul speaks to this watch. */
  readonly onHealth: (failure: ConsulError | undefined) => void;
}

/**
 * How long Consul holds a query when nothing changes. Shorter than the usual five minutes, so that a connection whose other end
 * has vanished is noticed within a minute; a watch costs two requests a minute.
 */
const WAIT_S = 30;
/** Consul adds up to a sixteenth of the wait as jitter; the rest is for the network and a slow server. */
const TIMEOUT_MS = (WAIT_S + WAIT_S / 16) * 1000 + 8_000;

/** For an answer that comes at once. */
const FIRST_TIMEOUT_MS = 10_000;

/** Follows one path of Consul's HTTP API until the signal. Never throws. */
export async function watchConsul(options: WatchOptions): Promise<void> {
  const { client, clock, signal } = options;
  let query: BlockingQuery = FIRST_QUERY;
  let lastIndex = 0;
  while (!signal.aborted) {
    let delayMs: number;
    const asked = clock.now();
    try {
      const answer = await client.request({
        path: options.path,
        query: { ...options.query, ...(query.index > 0 ? { index: query.index, wait: `${WAIT_S}s` } : {}) },
        timeoutMs: query.index > 0 ? TIMEOUT_MS : FIRST_TIMEOUT_MS,
        signal,
      });
      if (answer.filteredByAcl) throw new ConsulError(`the token may not read all of ${options.path}; see the policy in docs/consul.md`, { status: 403 });
      if (!answer.knownLeader) throw new ConsulError('the Consul server that answers knows no leader', { status: 500 });
      const now = clock.now();
      const next = afterAnswer(query, answer.index, now, now - asked < WAIT_S * 1000);
      ({ query, delayMs } = next);
      const rewound = answer.index < lastIndex;
      lastIndex = answer.index;
      if (next.fresh) options.onAnswer(answer, rewound);
      options.onHealth(undefined);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ConsulError)) throw error;
      ({ query, delayMs } = afterFailure(query, options.random(), error.retryAfterMs));
      options.onHealth(error);
    }
    await pause(clock, delayMs, signal);
  }
}

/** Resolves after that time, or when the signal is aborted. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal.addEventListener('abort', done, { once: true });
  });
}
