import type { ResourcesByName, ResourceType, Snapshot } from '../cache/resource.ts';
import { deltaRules } from './delta.ts';
import type { Variant, XdsRequest, XdsResponse } from './messages.ts';
import { sotwRules } from './sotw.ts';
import type { Nack, TypeStatus, Verdict } from './status.ts';
import { isRootType, wants } from './subscription.ts';
import { compareTouched, type Response, type Rules, separate, statusOf, type TypeState, touch, waitingSince } from './type-state.ts';

export interface SessionTiming {
  /** How long a response may stay unanswered before others stop waiting for it. */
  readonly answerMs: number;
  /** How long listeners and routes wait for a client to ask for the endpoints of new clusters. */
  readonly expectMs: number;
  /** How long after a reconnect removals wait for the rest of what the client has. */
  readonly settlingMs: number;
}

/** Envoy answers within milliseconds; a slow one with thousands of clusters within a second or two. */
export const defaultTiming: SessionTiming = { answerMs: 5000, expectMs: 1000, settlingMs: 250 };

const ORDER: readonly ResourceType[] = ['secret', 'cluster', 'endpoint', 'listener', 'route'];

/** Which types may name resources of a type, and so have to be settled before one is removed. */
const NAMED_BY: Readonly<Record<ResourceType, readonly ResourceType[]>> = {
  secret: ['cluster', 'listener'],
  cluster: ['listener', 'route'],
  endpoint: ['cluster'],
  listener: [],
  route: ['listener'],
};

export interface Next {
  readonly response?: XdsResponse;
  /** Without a response: when to ask again although nothing happened, because something waits and will not wait for ever. */
  readonly wakeAt?: number;
}

/**
 * One xDS stream: what its client asked for, what it was sent, what it should have. It knows no time and no transport; equal
 * events give equal responses.
 *
 * A request costs what it names, a snapshot what the proxy has of the types that changed, a response what it carries: what
 * differs is kept by name (`Pending`) and never searched for.
 *
 * Responses are not queued. `next` makes the next one from the newest snapshot when the stream can take it, so newer state
 * replaces older by itself, and a client that reads slowly holds no memory.
 *
 * Make before break. Changes go out in the order of ORDER, each type once the client has answered the types before it;
 * what is no longer wanted goes last, once the client has accepted everything that named it (see `#removalReady`).
 * What the client asked for does not wait for answers, only for what has to be on the wire before it.
 */
export class Session {
  readonly variant: Variant;
  readonly #rules: Rules;
  readonly #timing: SessionTiming;
  readonly #noncePrefix: string;
  readonly #types = new Map<ResourceType, TypeState>();
  #sentCount = 0;
  #snapshot: Snapshot | undefined;
  /** Assignments of clusters that were sent while the client was not subscribed to them; it will ask. */
  readonly #expected = new Set<string>();
  /** Until then listeners and routes wait for the client to ask for what is expected. */
  #expectUntil = 0;
  /** Until then nothing is removed for want of someone naming it: the client has reconnected and is still telling what it has. */
  #settlingUntil = 0;

  /** @param noncePrefix tells the nonces of this stream from those of others */
  constructor(variant: Variant, noncePrefix = '', timing: SessionTiming = defaultTiming) {
    this.variant = variant;
    this.#rules = variant === 'delta' ? deltaRules : sotwRules;
    this.#noncePrefix = noncePrefix;
    this.#timing = timing;
  }

  /** Responses made so far. */
  get sentCount(): number {
    return this.#sentCount;
  }

  /** Names looked at so far, of all types: what this stream has cost, counted and not timed. */
  get work(): number {
    return sum(this.#types.values(), ({ work }) => work);
  }

  /** Names that are kept because the client said them: its subscriptions, and what it brought from an earlier stream. */
  get names(): number {
    return sum(this.#types.values(), ({ subscription, brought }) => subscription.names.size + brought);
  }

  /** False: nobody knows this proxy yet. */
  get known(): boolean {
    return this.#snapshot !== undefined;
  }

  /** The client has been sent something that it has not answered. */
  get unanswered(): boolean {
    for (const { unanswered } of this.#types.values()) if (unanswered.size > 0) return true;
    return false;
  }

  /** Takes in the newest state of the proxy. False: it is the one it has. */
  update(snapshot: Snapshot): boolean {
    if (this.#snapshot === snapshot) return false;
    this.#snapshot = snapshot;
    return true;
  }

  /** Takes in a request: a subscription, an acceptance, a refusal, or several of these at once. False: it changed nothing. */
  request(request: XdsRequest, now: number): boolean {
    const { type } = request;
    const state = this.#types.get(type);
    if (state) {
      if (!this.#rules.apply(state, request, now)) return false;
    } else {
      const opened = this.#rules.open(request);
      this.#types.set(type, opened);
      const brought = Array.from(request.initialVersions, ([name, version]) => ({ name, version }));
      if (brought.length > 0) opened.verdict = { type, accepted: brought, refused: [], error: undefined, at: now };
      if (request.initialVersions.size > 0 || request.version !== '') this.#settlingUntil = now + this.#timing.settlingMs;
    }
    if (type === 'endpoint') this.#meetExpected(request);
    return true;
  }

  /** What the client has said of a response of this type since the last call. */
  takeVerdict(type: ResourceType): Verdict | undefined {
    const state = this.#types.get(type);
    const verdict = state?.verdict;
    if (state) state.verdict = undefined;
    return verdict;
  }

  /** The refusal that stands for a type. */
  refusal(type: ResourceType): Nack | undefined {
    const nacked = this.#types.get(type)?.nacked;
    return nacked && { ...nacked, resources: [...nacked.resources] };
  }

  /** The next response this stream should see, if any. Call it again until there is none. */
  next(now: number): Next {
    if (!this.#snapshot) return {};
    const snapshot = this.#snapshot;
    let unsent = false;
    let open = false;
    for (const type of ORDER) {
      const state = this.#compared(type, snapshot, now);
      if (!state) continue;
      if (type === 'listener' && this.#expectsRequest(now)) open = true;
      const busy = this.#isBusy(state, now);
      const permit = {
        asked: !unsent && !(busy && this.variant === 'sotw'),
        changed: !open && !busy,
        removed: !open && !busy && state.pending.removed.size > 0 && this.#removalReady(snapshot, type, now),
      };
      const { asked, changed } = state.pending;
      const response = this.#rules.respond(state, snapshot[type], permit, { nonce: `${this.#noncePrefix}${this.#sentCount + 1}`, now });
      if (response) {
        this.#sentCount++;
        this.#afterSending(response, now);
        return { response: response.message };
      }
      if (asked.size + changed.size > 0) unsent = true;
      open ||= unsent || busy;
    }
    const wakeAt = this.#nextDeadline(now);
    return wakeAt === undefined ? {} : { wakeAt };
  }

  /** For operators: every type the client asked for, in the order they are sent. */
  status(): TypeStatus[] {
    return ORDER.flatMap((type) => {
      const state = this.#types.get(type);
      return state ? [statusOf(state, !this.#snapshot || state.resources !== this.#snapshot[type] || !this.#isSettled(state))] : [];
    });
  }

  /** The state of a type once it has been compared with what it should be. */
  #compared(type: ResourceType, snapshot: Snapshot, now: number): TypeState | undefined {
    const state = this.#types.get(type);
    if (!state) return undefined;
    separate(state, now);
    if (type === 'cluster' && state.resources !== snapshot.cluster) this.#dropExpected(snapshot.cluster);
    compareTouched(this.#rules, state, snapshot[type]);
    return state;
  }

  #isSettled(state: TypeState): boolean {
    const owesAnswer = state.answerOwed && (this.variant === 'delta' || isRootType(state.type));
    return state.touched.size === 0 && state.pending.size === 0 && !owesAnswer;
  }

  /** A response is on its way and its answer still worth waiting for. */
  #isBusy(state: TypeState, now: number): boolean {
    const since = waitingSince(state);
    return since !== undefined && now < since + this.#timing.answerMs;
  }

  /**
   * Whether resources of a type may be removed: the client holds no older form of anything that could still name them.
   * A type it refused keeps its old form alive, and with it what that names; nobody is served worse by a removal that waits.
   */
  #removalReady(snapshot: Snapshot, type: ResourceType, now: number): boolean {
    return NAMED_BY[type].every((parent) => {
      const state = this.#compared(parent, snapshot, now);
      if (!state) return now >= this.#settlingUntil;
      return this.#isSettled(state) && !this.#isBusy(state, now) && !state.nacked;
    });
  }

  /** Envoy warms a new or changed cluster until its endpoints arrive, even if it has them: they go again, or will be asked for. */
  #afterSending({ message, fresh }: Response, now: number): void {
    if (message.type !== 'cluster') return;
    const endpoint = this.#types.get('endpoint');
    let expected = false;
    for (const { endpoints } of fresh) {
      if (endpoints === undefined) continue;
      if (endpoint && wants(endpoint.subscription, endpoints)) oweAgain(endpoint, endpoints);
      else {
        this.#expected.add(endpoints);
        expected = true;
      }
    }
    if (endpoint && expected) this.#expectUntil = now + this.#timing.expectMs;
  }

  /** Endpoints that the client asks for after their cluster changed are owed, even if it says that it has them. */
  #meetExpected({ subscribe }: XdsRequest): void {
    const state = this.#types.get('endpoint');
    if (!state || this.#expected.size === 0) return;
    for (const name of state.subscription.wildcard ? [...this.#expected] : subscribe) {
      if (wants(state.subscription, name) && this.#expected.delete(name)) oweAgain(state, name);
    }
  }

  /** Nobody asks for the endpoints of a cluster that is gone. */
  #dropExpected(clusters: ResourcesByName): void {
    if (this.#expected.size === 0) return;
    const left = new Set(Array.from(clusters.values(), ({ endpoints }) => endpoints));
    for (const name of this.#expected) if (!left.has(name)) this.#expected.delete(name);
  }

  /** A client that refused its clusters will not ask for the endpoints of all of them. */
  #expectsRequest(now: number): boolean {
    return this.#expected.size > 0 && now < this.#expectUntil && !this.#types.get('cluster')?.nacked;
  }

  #nextDeadline(now: number): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    const consider = (at: number | undefined) => {
      if (at !== undefined && at > now && at < next) next = at;
    };
    for (const state of this.#types.values()) {
      const since = waitingSince(state);
      consider(since === undefined ? undefined : since + this.#timing.answerMs);
      consider(state.suspects?.readyAt);
    }
    consider(this.#expectUntil);
    consider(this.#settlingUntil);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }
}

/** Names the client has had an answer for are sent again; names without one will be sent anyway. */
function oweAgain(state: TypeState, name: string): void {
  if (!state.held.has(name)) return;
  state.owed.add(name);
  touch(state, name);
}

function sum<Item>(items: Iterable<Item>, of: (item: Item) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
