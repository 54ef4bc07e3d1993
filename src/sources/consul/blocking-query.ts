/**
 * When to ask Consul again, and with which index. Pure: the loop around it is `watchConsul`.
 * Source: https://developer.hashicorp.com/consul/api-docs/features/blocking (implementation details).
 */
export interface BlockingQuery {
  /** Sent as `index`; 0 asks without one, so that the answer comes at once. */
  readonly index: number;
  /** Index of the answer taken last; undefined before the first and after a failure, when nothing is known to be current. */
  readonly seen: number | undefined;
  /** Failures since the last answer. */
  readonly failures: number;
  /** When the last answer came, in ms; answers that follow each other too fast are slowed down. */
  readonly answeredAt: number | undefined;
}

export const FIRST_QUERY: BlockingQuery = { index: 0, seen: undefined, failures: 0, answeredAt: undefined };

export interface NextQuery {
  readonly query: BlockingQuery;
  /** How long to wait before it is sent. */
  readonly delayMs: number;
}

/** An index that moves on every answer must not become a busy loop. The first change after a quiet time is never held up. */
const LEAST_INTERVAL_MS = 100;
/** "It is a bug in Consul" when an index is 0, but it has happened: then it is a poll. */
const POLL_MS = 1_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;

/**
 * After an answer. `fresh`: it differs from what is known, or may; a wait that ran out is not fresh.
 *
 * When a snapshot is restored Consul ends all waiting queries at once with the index they had. Asked again with that index it would
 * wait for the restored data to catch up; so an answer that comes before its time and says nothing new is asked for again without.
 * @param early the answer came before the wait was over
 */
export function afterAnswer(query: BlockingQuery, index: number, now: number, early: boolean): NextQuery & { readonly fresh: boolean } {
  const sane = Number.isSafeInteger(index) && index > 0;
  const backwards = sane && index < query.index;
  const fresh = !sane || index !== query.seen;
  const sinceLast = query.answeredAt === undefined ? Number.POSITIVE_INFINITY : now - query.answeredAt;
  const delayMs = sane ? Math.max(0, LEAST_INTERVAL_MS - sinceLast) : POLL_MS;
  const doubtful = early && !fresh && query.index > 0;
  return { query: { index: sane && !backwards && !doubtful ? index : 0, seen: sane ? index : undefined, failures: 0, answeredAt: now }, delayMs, fresh };
}

/**
 * After an error, 429 and 5xx among them. What follows starts without an index: the Consul that answers next may be another, or one
 * restored from a snapshot, whose indexes say nothing about ours.
 * @param random 0 ≤ x < 1
 */
export function afterFailure(query: BlockingQuery, random: number, retryAfterMs = 0): NextQuery {
  const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(query.failures, 16));
  const delayMs = Math.max(retryAfterMs, longest * (0.5 + random / 2));
  return { query: { ...FIRST_QUERY, failures: query.failures + 1, answeredAt: query.answeredAt }, delayMs };
}
