import type { CachedResource, ResourcesByName, ResourceType } from '../cache/resource.ts';
import type { XdsResponse } from './messages.ts';
import type { Nack, TypeStatus } from './status.ts';
import { type Subscription, wants } from './subscription.ts';

/** One type on one stream. */
export interface TypeState {
  readonly type: ResourceType;
  readonly subscription: Subscription;
  /** State of the world: names were given at least once, so an empty list no longer means everything. */
  readonly everNamed: boolean;
  /** What the client has, as far as it was last told, whether it liked it or not. Undefined: told that there is no such resource. */
  readonly held: ReadonlyMap<string, Held | undefined>;
  /** Names to send although the client has them: it asked again, or needs them again. */
  readonly owed: ReadonlySet<string>;
  /** Of these, the ones that go in a response of their own: together they were refused, and not because of all of them. */
  readonly alone: ReadonlySet<string>;
  /** Refused together, by words that name none of them: perhaps all but one are good. See `separate`. */
  readonly suspects?: { readonly names: ReadonlySet<string>; readonly readyAt: number };
  /** The client asked for everything and has had no answer: answer even with nothing, its start waits for that. */
  readonly answerOwed: boolean;
  /** State of the world: the version the client said it has when the stream began. */
  readonly claimedVersion: string;
  /** Responses that the client has neither accepted nor refused, oldest first. */
  readonly unanswered: readonly SentResponse[];
  readonly sent?: SentResponse;
  readonly acked?: { readonly nonce: string; readonly version: string; readonly at: number };
  readonly nacked?: Nack;
  /** The resources that were compared with this state and left nothing to send. */
  readonly settledWith?: ResourcesByName;
}

/** A whole resource, or only its version where the client brought it from an earlier stream. */
export type Held = CachedResource | { readonly version: string };

export interface SentResponse {
  readonly nonce: string;
  readonly version: string;
  readonly at: number;
  readonly resources: readonly string[];
  readonly removed: readonly string[];
}

/** What separates a client from the resources it should have. */
export interface Difference {
  /** The client named these, or everything, and waits. */
  readonly asked: readonly CachedResource[];
  /** Delta: the client named these and they do not exist. */
  readonly absent: readonly string[];
  /** New or changed without the client's doing. */
  readonly changed: readonly CachedResource[];
  /** The client has these and should not. */
  readonly removed: readonly string[];
}

/** Which parts of a difference may go out now. */
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

/** The state after a step, and the response if the step made one. */
export interface Step {
  readonly state: TypeState;
  readonly response?: XdsResponse;
}

/** Long enough not to be an answer to the refusal itself, which must not be answered with the same content. */
const SEPARATE_AFTER_MS = 3000;

/** Bounds the memory of a stream whose client never answers. Older responses count as lost. */
const MAX_UNANSWERED = 1000;

export const nothing: Difference = { asked: [], absent: [], changed: [], removed: [] };

export function isNothing(difference: Difference): boolean {
  return difference.asked.length + difference.absent.length + difference.changed.length + difference.removed.length === 0;
}

/** @param unanswered the responses that stay open beside this one */
export function recordSent(state: TypeState, response: XdsResponse, now: number, unanswered: readonly SentResponse[]): TypeState {
  const { nonce, version, removed } = response;
  const sent = { nonce, version, at: now, resources: response.resources.map((resource) => resource.name), removed };
  const open = [...unanswered, sent].slice(-MAX_UNANSWERED);
  return { ...state, sent, unanswered: open, settledWith: undefined, suspects: without(state.suspects, [...sent.resources, ...removed]) };
}

/** Takes in the client's verdict on a response. A nonce that is not open (another type's, an earlier stream's) changes nothing. */
export function recordAnswer(state: TypeState, nonce: string, error: string | undefined, now: number): TypeState {
  const response = state.unanswered.find((sent) => sent.nonce === nonce);
  if (!response) return state;
  const unanswered = state.unanswered.filter((sent) => sent !== response);
  if (error === undefined) {
    const acked = { nonce, version: response.version, at: now };
    return { ...state, unanswered, acked, nacked: supersede(state.nacked, [...response.resources, ...response.removed]) };
  }
  const named = response.resources.filter((name) => mentions(error, name));
  const older = state.nacked?.resources.filter((name) => !response.resources.includes(name)) ?? [];
  const resources = [...older, ...(named.length > 0 ? named : response.resources)];
  const nacked = { nonce, version: response.version, at: now, error, resources };
  if (named.length > 0 || response.resources.length < 2) return { ...state, unanswered, nacked };
  const suspects = { names: new Set([...response.resources, ...(state.suspects?.names ?? [])]), readyAt: now + SEPARATE_AFTER_MS };
  return { ...state, unanswered, nacked, suspects };
}

/**
 * One bad object must not stop the rest. Envoy throws a whole response away for a value it cannot read in one resource, and its
 * words do not name the resource. So what was refused together is sent once more, one by one, after a while; what is refused alone
 * is not sent again until it changes.
 */
export function separate(state: TypeState, now: number): TypeState {
  if (!state.suspects || now < state.suspects.readyAt) return state;
  const names = [...state.suspects.names].filter((name) => wants(state.subscription, name));
  const owed = new Set([...state.owed, ...names]);
  return { ...state, owed, alone: new Set([...state.alone, ...names]), suspects: undefined, settledWith: undefined };
}

function without(suspects: TypeState['suspects'], sent: readonly string[]): TypeState['suspects'] {
  if (!suspects) return undefined;
  const names = new Set(suspects.names);
  for (const name of sent) names.delete(name);
  return names.size > 0 ? { ...suspects, names } : undefined;
}

/** Whether a name stands in a text as a word of its own. */
function mentions(text: string, name: string): boolean {
  const inWord = /[\w-]/;
  for (let at = text.indexOf(name); at >= 0 && name !== ''; at = text.indexOf(name, at + 1)) {
    if (!inWord.test(text.charAt(at - 1)) && !inWord.test(text.charAt(at + name.length))) return true;
  }
  return false;
}

/** What is left of a refusal once `names` were accepted, removed or given up. */
export function supersede(nack: Nack | undefined, names: Iterable<string>): Nack | undefined {
  if (!nack) return undefined;
  const over = new Set(names);
  const resources = nack.resources.filter((name) => !over.has(name));
  if (resources.length === nack.resources.length && resources.length > 0) return nack;
  return resources.length > 0 ? { ...nack, resources } : undefined;
}

/** Envoy stops at the first bad secret or route of a response and drops the others, so each of them goes alone. */
function goesAlone(state: TypeState, name: string): boolean {
  return state.type === 'secret' || state.type === 'route' || state.alone.has(name);
}

/** The resources at the head of a list that may share a response. */
export function firstTogether(state: TypeState, resources: readonly CachedResource[]): readonly CachedResource[] {
  const end = resources.findIndex(({ name }) => goesAlone(state, name));
  return end < 0 ? resources : resources.slice(0, Math.max(1, end));
}

export function statusOf(state: TypeState, unsent: boolean): TypeStatus {
  const { type, subscription, sent, acked, nacked } = state;
  return {
    type,
    subscribed: { wildcard: subscription.wildcard, names: subscription.names.size },
    ...(sent && { sent: { nonce: sent.nonce, version: sent.version, at: sent.at, resources: sent.resources.length, removed: sent.removed.length } }),
    ...(acked && { acked }),
    ...(nacked && { nacked }),
    pending: unsent || state.unanswered.length > 0,
  };
}
