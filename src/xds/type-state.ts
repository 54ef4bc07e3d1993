import type { CachedResource, ResourcesByName, ResourceType } from '../cache/resource.ts';
import type { XdsRequest, XdsResponse } from './messages.ts';
import { Pending, type Reason } from './pending.ts';
import type { SentResource, TypeStatus, Verdict } from './status.ts';
import { type Subscription, wants } from './subscription.ts';

/** One type on one stream. Changed in place, so that a step costs what it is about and not what the client has. */
export interface TypeState {
  readonly type: ResourceType;
  subscription: Subscription;
  /** State of the world: names were given at least once, so an empty list no longer means everything. */
  everNamed: boolean;
  /** What the client has, as far as it was last told, whether it liked it or not. Undefined: told that there is no such resource. */
  held: Map<string, Held | undefined>;
  /** Names to send although the client has them: it asked again, or needs them again. */
  readonly owed: Set<string>;
  /** Of these, the ones that go in a response of their own: together they were refused, and not because of all of them. */
  readonly alone: Set<string>;
  /** Refused together, by words that name none of them: perhaps all but one are good. See `separate`. */
  suspects: { readonly names: Set<string>; readonly readyAt: number } | undefined;
  /** The client asked for everything and has had no answer: answer even with nothing, its start waits for that. */
  answerOwed: boolean;
  /** State of the world: the version the client said it has when the stream began. */
  claimedVersion: string;
  /** How many versions the client brought from an earlier stream. */
  readonly brought: number;
  /** Responses that the client has neither accepted nor refused, by nonce, oldest first. */
  readonly unanswered: Map<string, SentResponse>;
  /** How many names these hold. */
  unansweredNames: number;
  sent: SentResponse | undefined;
  acked: { readonly nonce: string; readonly version: string; readonly at: number } | undefined;
  nacked: Refusal | undefined;
  /** The client's last verdict, until somebody takes it. */
  verdict: Verdict | undefined;
  /** What the client was last compared with. Undefined: everything is to be compared. */
  resources: ResourcesByName | undefined;
  /** Names to compare again although their resources are the same: something about the client changed. */
  readonly touched: Set<string>;
  /** The outcome of comparing. */
  readonly pending: Pending;
  /** Names looked at so far: the cost of this stream, for tests. */
  work: number;
}

/** A whole resource, or only its version where the client brought it from an earlier stream. */
export type Held = CachedResource | { readonly version: string };

export interface SentResponse {
  readonly nonce: string;
  readonly version: string;
  readonly at: number;
  readonly resources: readonly string[];
  /** Of the resources, in the same order. */
  readonly versions: readonly string[];
  readonly removed: readonly string[];
}

/** What still stands refused, by the client's last words. */
export interface Refusal {
  readonly nonce: string;
  readonly version: string;
  readonly at: number;
  readonly error: string;
  readonly resources: Set<string>;
}

/** Which parts of what is pending may go out now. */
export interface Permit {
  readonly asked: boolean;
  readonly changed: boolean;
  readonly removed: boolean;
}

/** What stamps a response. */
export interface Stamp {
  readonly nonce: string;
  readonly now: number;
}

/** How the two variants differ. */
export interface Rules {
  /** The first request of a type. */
  open(request: XdsRequest): TypeState;
  /** A later one. False: it changed nothing. */
  apply(state: TypeState, request: XdsRequest, now: number): boolean;
  /** What is to be done about a name, and the end of what needs no doing. */
  compare(state: TypeState, resources: ResourcesByName, name: string): Reason | undefined;
  respond(state: TypeState, resources: ResourcesByName, permit: Permit, stamp: Stamp): Response | undefined;
}

/** A response, and those of its resources that are new to the client. */
export interface Response {
  readonly message: XdsResponse;
  readonly fresh: readonly CachedResource[];
}

/** Long enough not to be an answer to the refusal itself, which must not be answered with the same content. */
const SEPARATE_AFTER_MS = 3000;

/** Bound the memory of a stream whose client never answers: responses, and names in them. Older responses count as lost. */
const MAX_UNANSWERED = 1000;
const MAX_UNANSWERED_NAMES = 100_000;

const KEPT_ERROR_CHARS = 1024;

export function newTypeState(fields: Pick<TypeState, 'type' | 'subscription' | 'everNamed' | 'answerOwed'> & Partial<TypeState>): TypeState {
  return {
    held: new Map(),
    owed: new Set(),
    alone: new Set(),
    suspects: undefined,
    claimedVersion: '',
    brought: 0,
    unanswered: new Map(),
    unansweredNames: 0,
    sent: undefined,
    acked: undefined,
    nacked: undefined,
    verdict: undefined,
    resources: undefined,
    touched: new Set(),
    pending: new Pending(),
    work: 0,
    ...fields,
  };
}

/** Has a name compared again. */
export function touch(state: TypeState, name: string): void {
  state.work++;
  // everything will be compared anyway
  if (state.resources) state.touched.add(name);
}

/** Has everything compared again. */
export function touchAll(state: TypeState): void {
  state.resources = undefined;
  state.touched.clear();
}

/** Compares what may differ since the last time, and only that. */
export function compareTouched(rules: Rules, state: TypeState, resources: ResourcesByName): void {
  const before = state.resources;
  if (before === resources && state.touched.size === 0) return;
  const compare = (name: string) => {
    state.work++;
    state.pending.put(name, rules.compare(state, resources, name));
  };
  if (!before) {
    state.pending.clear();
    const { wildcard, names } = state.subscription;
    for (const name of wildcard ? new Set([...resources.keys(), ...names, ...state.held.keys(), ...state.owed]) : names) compare(name);
  } else {
    for (const name of state.touched) compare(name);
    if (before !== resources) {
      for (const [name, resource] of resources) if (before.get(name) !== resource) compare(name);
      for (const name of before.keys()) if (!resources.has(name)) compare(name);
      state.work += before.size + resources.size;
    }
  }
  state.resources = resources;
  state.touched.clear();
}

/** @param others whether responses before this one stay open beside it */
export function recordSent(state: TypeState, response: XdsResponse, now: number, others: boolean): void {
  const { nonce, version, removed, resources } = response;
  const sent = { nonce, version, at: now, resources: resources.map(({ name }) => name), versions: resources.map(({ version: one }) => one), removed };
  state.sent = sent;
  if (!others) for (const older of state.unanswered.values()) forgetSent(state, older);
  state.unanswered.set(nonce, sent);
  state.unansweredNames += sizeOf(sent);
  for (const older of state.unanswered.values()) {
    if (older === sent || (state.unanswered.size <= MAX_UNANSWERED && state.unansweredNames <= MAX_UNANSWERED_NAMES)) break;
    forgetSent(state, older);
  }
  if (!state.suspects) return;
  for (const name of sent.resources) state.suspects.names.delete(name);
  for (const name of removed) state.suspects.names.delete(name);
  if (state.suspects.names.size === 0) state.suspects = undefined;
}

function forgetSent(state: TypeState, sent: SentResponse): void {
  state.unanswered.delete(sent.nonce);
  state.unansweredNames -= sizeOf(sent);
}

function sizeOf({ resources, removed }: SentResponse): number {
  return resources.length + removed.length;
}

/** When the newest response without an answer was sent. */
export function waitingSince({ unanswered, sent }: TypeState): number | undefined {
  if (unanswered.size === 0) return undefined;
  if (sent && unanswered.has(sent.nonce)) return sent.at;
  return [...unanswered.values()].at(-1)?.at;
}

/**
 * Takes in the client's verdict on a response. A nonce that is not open (another type's, an earlier stream's) changes nothing.
 * @returns what the nonce stood for
 */
export function recordAnswer(state: TypeState, nonce: string, error: string | undefined, now: number): SentResponse | undefined {
  const response = state.unanswered.get(nonce);
  if (!response) return undefined;
  forgetSent(state, response);
  state.work += sizeOf(response);
  const { type } = state;
  if (error === undefined) {
    state.verdict = { type, accepted: asSent(response), refused: [], error, at: now };
    state.acked = { nonce, version: response.version, at: now };
    supersede(state, response.resources);
    supersede(state, response.removed);
    return response;
  }
  const named = response.resources.filter((name) => mentions(error, name));
  const resources = state.nacked?.resources ?? new Set<string>();
  for (const name of response.resources) resources.delete(name);
  for (const name of named.length > 0 ? named : response.resources) resources.add(name);
  state.nacked = { nonce, version: response.version, at: now, error: startOf(error), resources };
  const suspected = named.length === 0 && response.resources.length > 1;
  const refused = new Set(named.length > 0 ? named : suspected ? [] : response.resources);
  const judged = asSent(response);
  state.verdict = {
    type,
    accepted: suspected ? [] : judged.filter(({ name }) => !refused.has(name)),
    refused: judged.filter(({ name }) => refused.has(name)),
    error: startOf(error),
    at: now,
  };
  if (suspected) {
    state.suspects = { names: new Set([...response.resources, ...(state.suspects?.names ?? [])]), readyAt: now + SEPARATE_AFTER_MS };
  }
  return response;
}

function asSent({ resources, versions }: SentResponse): SentResource[] {
  return resources.map((name, index) => ({ name, version: versions[index] ?? '' }));
}

/** What is kept of the client's words. A copy: a part of a string would keep the whole of it in memory. */
function startOf(error: string): string {
  return error.length <= KEPT_ERROR_CHARS ? error : `${Buffer.from(error.slice(0, KEPT_ERROR_CHARS)).toString()}…`;
}

/**
 * One bad object must not stop the rest. Envoy throws a whole response away for a value it cannot read in one resource, and its
 * words do not name the resource. So what was refused together is sent once more, one by one, after a while; what is refused alone
 * is not sent again until it changes.
 */
export function separate(state: TypeState, now: number): void {
  if (!state.suspects || now < state.suspects.readyAt) return;
  for (const name of state.suspects.names) {
    if (!wants(state.subscription, name)) continue;
    state.owed.add(name);
    state.alone.add(name);
    touch(state, name);
  }
  state.suspects = undefined;
}

/** Whether a name stands in a text as a word of its own. */
function mentions(text: string, name: string): boolean {
  const inWord = /[\w-]/;
  for (let at = text.indexOf(name); at >= 0 && name !== ''; at = text.indexOf(name, at + 1)) {
    if (!inWord.test(text.charAt(at - 1)) && !inWord.test(text.charAt(at + name.length))) return true;
  }
  return false;
}

/** These were accepted, removed or given up: nothing about them stands refused any more. */
export function supersede(state: TypeState, names: Iterable<string>): void {
  if (!state.nacked) return;
  for (const name of names) state.nacked.resources.delete(name);
  if (state.nacked.resources.size === 0) state.nacked = undefined;
}

/** Envoy stops at the first bad secret or route of a response and drops the others, so each of them goes alone. */
function goesAlone(state: TypeState, name: string): boolean {
  return state.type === 'secret' || state.type === 'route' || state.alone.has(name);
}

/** Keeps a response below the 4 MiB that gRPC libraries take by default. Envoy itself has no limit. */
const MAX_RESPONSE_BYTES = 3 * 1024 * 1024;
/** Type URL, version and lengths around each resource. */
const OVERHEAD_BYTES = 200;

/** Room in a response. */
export class Room {
  #bytes = 0;

  /** Whether this fits as well; the first one always does. */
  take(bytes: number): boolean {
    const first = this.#bytes === 0;
    this.#bytes += bytes;
    return first || this.#bytes <= MAX_RESPONSE_BYTES;
  }
}

/**
 * What is at the head of the pending names and may share a response.
 * @param room what one response may hold; without it as much as there is
 */
export function firstTogether(state: TypeState, resources: ResourcesByName, permit: Permit, room?: Room): CachedResource[] {
  const taken: CachedResource[] = [];
  for (const names of [permit.asked ? state.pending.asked : [], permit.changed ? state.pending.changed : []]) {
    for (const name of names) {
      state.work++;
      const resource = resources.get(name);
      if (!resource) continue;
      const alone = goesAlone(state, name);
      if (alone && taken.length > 0) return taken;
      if (room && !room.take(resource.bytes.length + name.length + OVERHEAD_BYTES)) return taken;
      taken.push(resource);
      if (alone) return taken;
    }
  }
  return taken;
}

/** The client has been sent these: they are no longer pending. */
export function recordHeld(state: TypeState, sending: Iterable<CachedResource>): void {
  for (const resource of sending) {
    state.held.set(resource.name, resource);
    state.owed.delete(resource.name);
    state.alone.delete(resource.name);
    state.pending.put(resource.name, undefined);
  }
}

export function statusOf(state: TypeState, unsent: boolean): TypeStatus {
  const { type, subscription, sent, acked, nacked } = state;
  return {
    type,
    subscribed: { wildcard: subscription.wildcard, names: subscription.names.size },
    ...(sent && { sent: { nonce: sent.nonce, version: sent.version, at: sent.at, resources: sent.resources.length, removed: sent.removed.length } }),
    ...(acked && { acked }),
    ...(nacked && { nacked: { ...nacked, resources: [...nacked.resources] } }),
    pending: unsent || state.unanswered.size > 0,
  };
}
