import { collectionVersion, versionOf } from '../cache/collection-version.ts';
import type { CachedResource, ResourcesByName } from '../cache/resource.ts';
import type { XdsRequest } from './messages.ts';
import { isRootType, type Subscription, subscriptionTo, wants } from './subscription.ts';
import {
  type Difference,
  firstTogether,
  type Held,
  type Permit,
  recordAnswer,
  recordSent,
  type SentResponse,
  type Stamp,
  type Step,
  supersede,
  type TypeState,
} from './type-state.ts';

/** A newer response makes older ones stale: only one is ever open. */
const ONLY_THIS: readonly SentResponse[] = [];

/** Source of the rules: xDS protocol, "ACK/NACK and resource type instance version". */
export function applySotwRequest(state: TypeState | undefined, request: XdsRequest, now: number): TypeState {
  return state ? applyLater(state, request, now) : applyFirst(request);
}

/** The nonce of a first request is of an earlier stream and means nothing here. */
function applyFirst({ type, subscribe, version }: XdsRequest): TypeState {
  return {
    type,
    subscription: subscriptionOf(type, subscribe, false),
    everNamed: subscribe.length > 0,
    held: new Map(),
    owed: new Set(),
    alone: new Set(),
    answerOwed: true,
    claimedVersion: version,
    unanswered: [],
  };
}

function applyLater(before: TypeState, { type, nonce, error, subscribe }: XdsRequest, now: number): TypeState {
  // written before the client saw our last response; what it wants it says again in the answer to that
  if (nonce !== '' && nonce !== before.sent?.nonce) return before;
  const answered = recordAnswer(before, nonce, error, now);
  const state = isRootType(type) ? answerToWhole(before, answered) : answered;
  const subscription = subscriptionOf(type, subscribe, state.everNamed);
  if (sameSubscription(state.subscription, subscription)) return state;
  const held = new Map(state.held);
  for (const name of held.keys()) if (!wants(subscription, name)) held.delete(name);
  return {
    ...state,
    subscription,
    everNamed: state.everNamed || subscribe.length > 0,
    held,
    owed: new Set([...state.owed].filter((name) => wants(subscription, name))),
    answerOwed: state.answerOwed || (subscription.wildcard && !state.subscription.wildcard),
    nacked: supersede(state.nacked, state.nacked?.resources.filter((name) => !wants(subscription, name)) ?? []),
    settledWith: undefined,
  };
}

/** A whole response is accepted or refused whole: accepted, nothing older stands; refused, its parts cannot be tried one by one. */
function answerToWhole(before: TypeState, answered: TypeState): TypeState {
  const accepted = answered.acked !== before.acked;
  return { ...answered, suspects: undefined, nacked: accepted ? undefined : answered.nacked };
}

function subscriptionOf(type: TypeState['type'], names: readonly string[], everNamed: boolean): Subscription {
  return names.length === 0 && !everNamed && isRootType(type) ? { wildcard: true, names: new Set() } : subscriptionTo(names);
}

function sameSubscription(a: Subscription, b: Subscription): boolean {
  return a.wildcard === b.wildcard && a.names.size === b.names.size && [...a.names].every((name) => b.names.has(name));
}

export function sotwDifference(state: TypeState, resources: ResourcesByName): Difference {
  const { subscription, held, owed, answerOwed } = state;
  const asked: CachedResource[] = [];
  const changed: CachedResource[] = [];
  for (const resource of wanted(subscription, resources)) {
    const known = held.get(resource.name);
    if (owed.has(resource.name)) asked.push(resource);
    else if (known?.version !== resource.version) (answerOwed || (!known && subscription.names.has(resource.name)) ? asked : changed).push(resource);
  }
  const removed = isRootType(state.type) ? [...held.keys()].filter((name) => !resources.has(name)) : [];
  return { asked, absent: [], changed, removed };
}

/**
 * Types other than clusters and listeners have no word for a deletion. What is gone is forgotten,
 * so that it is sent when it comes back.
 */
export function sotwForget(state: TypeState, resources: ResourcesByName): TypeState {
  if (isRootType(state.type)) return state;
  const gone = [...state.held.keys()].filter((name) => !resources.has(name));
  if (gone.length === 0) return state;
  const held = new Map(state.held);
  for (const name of gone) held.delete(name);
  return { ...state, held, nacked: supersede(state.nacked, gone) };
}

export function sotwRespond(state: TypeState, resources: ResourcesByName, difference: Difference, permit: Permit, stamp: Stamp): Step {
  return isRootType(state.type) ? respondWhole(state, resources, difference, permit, stamp) : respondPart(state, difference, permit, stamp);
}

/** Clusters and listeners: a response is the whole truth, and what it leaves out is deleted. */
function respondWhole(state: TypeState, resources: ResourcesByName, { asked, changed, removed }: Difference, permit: Permit, stamp: Stamp): Step {
  const answers = permit.asked && (asked.length > 0 || state.answerOwed);
  if (!answers && !(permit.changed && changed.length > 0) && !(permit.removed && removed.length > 0)) return { state };
  // a removal that has to wait is left in, with the content the client has
  const kept = permit.removed ? [] : removed.map((name) => state.held.get(name)).filter(isWhole);
  const sending = [...wanted(state.subscription, resources), ...kept];
  const version = sending.length === resources.size && kept.length === 0 ? collectionVersion(resources) : versionOf(sending);
  const next = { ...state, held: heldAfter(new Map(), sending), answerOwed: false, claimedVersion: '' };
  // after a reconnect: safe only for the wildcard, where the client cannot have asked for anything it has not seen
  const knows = state.answerOwed && state.claimedVersion === version && state.subscription.wildcard && state.subscription.names.size === 0;
  if (knows) return { state: next };
  const response = { type: state.type, nonce: stamp.nonce, version, resources: sending, removed: [] };
  return { state: recordSent(next, response, stamp.now, ONLY_THIS), response };
}

/** Other types: a response says something of the resources in it, and nothing of the rest. */
function respondPart(state: TypeState, { asked, changed }: Difference, permit: Permit, stamp: Stamp): Step {
  const ready = [...(permit.asked ? asked : []), ...(permit.changed ? changed : [])];
  const sending = firstTogether(state, ready);
  if (sending.length === 0) return { state };
  const owed = new Set(state.owed);
  const alone = new Set(state.alone);
  for (const { name } of sending) {
    owed.delete(name);
    alone.delete(name);
  }
  const answerOwed = state.answerOwed && sending.length < asked.length;
  const next = { ...state, held: heldAfter(new Map(state.held), sending), owed, alone, answerOwed, claimedVersion: '' };
  const response = { type: state.type, nonce: stamp.nonce, version: versionOf(sending), resources: sending, removed: [] };
  return { state: recordSent(next, response, stamp.now, ONLY_THIS), response };
}

function wanted(subscription: Subscription, resources: ResourcesByName): CachedResource[] {
  if (subscription.wildcard) return [...resources.values()];
  return [...subscription.names].map((name) => resources.get(name)).filter((resource) => resource !== undefined);
}

function heldAfter(held: Map<string, Held | undefined>, sending: readonly CachedResource[]): TypeState['held'] {
  for (const resource of sending) held.set(resource.name, resource);
  return held;
}

function isWhole(held: Held | undefined): held is CachedResource {
  return held !== undefined && 'bytes' in held;
}
