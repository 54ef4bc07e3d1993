import type { CachedResource, ResourceType, Snapshot } from '../cache/resource.ts';
import { applyDeltaRequest, deltaDifference, deltaRespond } from './delta.ts';
import type { Variant, XdsRequest, XdsResponse } from './messages.ts';
import { applySotwRequest, sotwDifference, sotwForget, sotwRespond } from './sotw.ts';
import type { TypeStatus } from './status.ts';
import { isRootType, wants } from './subscription.ts';
import { type Difference, isNothing, nothing, type Permit, type SentResponse, separate, statusOf, type TypeState } from './type-state.ts';

/**
 * One xDS stream as a value: what its client asked for, what it was sent, what it should have.
 *
 * Responses are not queued. `nextResponse` makes the next one from the newest snapshot when the stream can take it,
 * so newer state replaces older by itself.
 *
 * Make before break. Changes go out in the order of ORDER, each type once the client has answered the types before it;
 * what is no longer wanted goes last, once the client has accepted everything that named it (see `removalReady`).
 * What the client asked for does not wait for answers, only for what has to be on the wire before it.
 */
export interface Session {
  readonly variant: Variant;
  readonly timing: SessionTiming;
  readonly noncePrefix: string;
  readonly sentCount: number;
  /** Undefined: nobody knows this proxy yet. */
  readonly snapshot?: Snapshot;
  readonly types: Readonly<Partial<Record<ResourceType, TypeState>>>;
  /** Assignments of clusters that were sent while the client was not subscribed to them; it will ask. */
  readonly expected: ReadonlySet<string>;
  /** Until then listeners and routes wait for the client to ask for what is expected. */
  readonly expectUntil: number;
  /** Until then nothing is removed for want of someone naming it: the client has reconnected and is still telling what it has. */
  readonly settlingUntil: number;
}

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

/** @param noncePrefix tells the nonces of this stream from those of others */
export function openSession(variant: Variant, noncePrefix = '', timing: SessionTiming = defaultTiming): Session {
  return { variant, timing, noncePrefix, sentCount: 0, types: {}, expected: new Set(), expectUntil: 0, settlingUntil: 0 };
}

/** Takes in the newest state of the proxy. */
export function applySnapshot(session: Session, snapshot: Snapshot): Session {
  return session.snapshot === snapshot ? session : { ...session, snapshot };
}

/** Takes in a request: a subscription, an acceptance, a refusal, or several of these at once. */
export function applyRequest(session: Session, request: XdsRequest, now: number): Session {
  const before = session.types[request.type];
  const apply = session.variant === 'delta' ? applyDeltaRequest : applySotwRequest;
  const state = apply(before, request, now);
  const reconnected = !before && (request.initialVersions.size > 0 || request.version !== '');
  const next = withType(session, state);
  const settled = reconnected ? { ...next, settlingUntil: now + session.timing.settlingMs } : next;
  return request.type === 'endpoint' ? meetExpected(settled) : settled;
}

/** Endpoints that the client asks for after their cluster changed are owed, even if it says that it has them. */
function meetExpected(session: Session): Session {
  const state = session.types.endpoint;
  const met = state ? [...session.expected].filter((name) => wants(state.subscription, name)) : [];
  if (!state || met.length === 0) return session;
  const expected = new Set(session.expected);
  for (const name of met) expected.delete(name);
  return { ...withType(session, owe(state, met)), expected };
}

export interface Next {
  readonly session: Session;
  readonly response?: XdsResponse;
  /** Without a response: when to ask again although nothing happened, because something waits and will not wait for ever. */
  readonly wakeAt?: number;
}

/** The next response this stream should see, if any. Call it again until there is none. */
export function nextResponse(before: Session, now: number): Next {
  const { snapshot } = before;
  if (!snapshot) return { session: before };
  const { session, differences } = compareAll(before, snapshot, now);
  let current = session;
  let unsent = false;
  let open = false;
  for (const type of ORDER) {
    const state = current.types[type];
    if (!state) continue;
    if (type === 'listener' && expectsRequest(current, now)) open = true;
    const difference = differences[type] ?? nothing;
    const busy = isBusy(current, state, now);
    const permit: Permit = {
      asked: !unsent && !(busy && current.variant === 'sotw'),
      changed: !open && !busy,
      removed: !open && !busy && removalReady(current, differences, type, now),
    };
    const respond = current.variant === 'delta' ? deltaRespond : sotwRespond;
    const stamp = { nonce: `${current.noncePrefix}${current.sentCount + 1}`, now };
    const step = respond(state, snapshot[type], difference, permit, stamp);
    if (step.state !== state) current = withType(current, step.state);
    if (step.response)
      return { session: afterSending({ ...current, sentCount: current.sentCount + 1 }, step.response, difference, now), response: step.response };
    if (step.state === state && difference.asked.length + difference.changed.length > 0) unsent = true;
    open ||= unsent || busy;
  }
  const wakeAt = nextDeadline(current, now);
  return wakeAt === undefined ? { session: current } : { session: current, wakeAt };
}

/** Each type against what it should be; a type that was found settled with this very map is not looked at again. */
function compareAll(session: Session, snapshot: Snapshot, now: number): { session: Session; differences: Differences } {
  let current = session;
  const differences: Partial<Record<ResourceType, Difference>> = {};
  for (const type of ORDER) {
    const before = current.types[type];
    const ready = before && separate(before, now);
    if (!ready || ready.settledWith === snapshot[type]) continue;
    const resources = snapshot[type];
    const state = session.variant === 'sotw' ? sotwForget(ready, resources) : ready;
    const difference = session.variant === 'delta' ? deltaDifference(state, resources) : sotwDifference(state, resources);
    const settled = isNothing(difference) && !owesAnswer(session, state);
    if (settled) current = withType(current, { ...state, settledWith: resources });
    else {
      differences[type] = difference;
      if (state !== before) current = withType(current, state);
    }
  }
  return { session: current, differences };
}

type Differences = Readonly<Partial<Record<ResourceType, Difference>>>;

function owesAnswer(session: Session, state: TypeState): boolean {
  return state.answerOwed && (session.variant === 'delta' || isRootType(state.type));
}

/** A response is on its way and its answer still worth waiting for. */
function isBusy(session: Session, state: TypeState, now: number): boolean {
  return state.unanswered.some((sent) => isFresh(session, sent, now));
}

function isFresh(session: Session, sent: SentResponse, now: number): boolean {
  return now < sent.at + session.timing.answerMs;
}

/**
 * Whether resources of a type may be removed: the client holds no older form of anything that could still name them.
 * A type it refused keeps its old form alive, and with it what that names; nobody is served worse by a removal that waits.
 */
function removalReady(session: Session, differences: Differences, type: ResourceType, now: number): boolean {
  return NAMED_BY[type].every((parent) => {
    const state = session.types[parent];
    if (!state) return now >= session.settlingUntil;
    return differences[parent] === undefined && !isBusy(session, state, now) && !state.nacked;
  });
}

/** Envoy warms a new or changed cluster until its endpoints arrive, even if it has them: they go again, or are expected to be asked for. */
function afterSending(session: Session, response: XdsResponse, difference: Difference, now: number): Session {
  if (response.type !== 'cluster') return session;
  const sent = new Set(response.resources);
  const fresh = [...difference.asked, ...difference.changed].filter((cluster) => sent.has(cluster));
  const names = new Set(endpointNames(fresh));
  if (names.size === 0) return session;
  const endpoint = session.types.endpoint;
  const again = [...names].filter((name) => endpoint && wants(endpoint.subscription, name));
  for (const name of again) names.delete(name);
  const stillThere = new Set(endpointNames(session.snapshot?.cluster.values() ?? []));
  const expected = new Set([...[...session.expected].filter((name) => stillThere.has(name)), ...names]);
  const expectUntil = endpoint && names.size > 0 ? now + session.timing.expectMs : session.expectUntil;
  const next = { ...session, expected, expectUntil };
  return endpoint ? withType(next, owe(endpoint, again)) : next;
}

function endpointNames(clusters: Iterable<CachedResource>): string[] {
  return Array.from(clusters, (cluster) => cluster.endpoints).filter((name) => name !== undefined);
}

/** A client that refused its clusters will not ask for the endpoints of all of them. */
function expectsRequest(session: Session, now: number): boolean {
  return session.expected.size > 0 && now < session.expectUntil && !session.types.cluster?.nacked;
}

/** Names the client has had an answer for are sent again; the others are under way as they are. */
function owe(state: TypeState, names: readonly string[]): TypeState {
  const had = names.filter((name) => state.held.has(name));
  return had.length === 0 ? state : { ...state, owed: new Set([...state.owed, ...had]), settledWith: undefined };
}

function nextDeadline(session: Session, now: number): number | undefined {
  const deadlines = ORDER.flatMap((type) => session.types[type]?.unanswered ?? []).map((sent) => sent.at + session.timing.answerMs);
  const suspects = ORDER.map((type) => session.types[type]?.suspects?.readyAt ?? 0);
  const later = [...deadlines, ...suspects, session.expectUntil, session.settlingUntil].filter((at) => at > now);
  return later.length > 0 ? Math.min(...later) : undefined;
}

function withType(session: Session, state: TypeState): Session {
  return { ...session, types: { ...session.types, [state.type]: state } };
}

/** For operators: every type the client asked for, in the order they are sent. */
export function sessionStatus(session: Session): TypeStatus[] {
  return ORDER.flatMap((type) => {
    const state = session.types[type];
    if (!state) return [];
    return [statusOf(state, session.snapshot === undefined || state.settledWith !== session.snapshot[type])];
  });
}
