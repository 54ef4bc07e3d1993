import { collectionVersion, versionOf } from '../cache/collection-version.ts';
import type { CachedResource, ResourcesByName } from '../cache/resource.ts';
import type { XdsRequest } from './messages.ts';
import type { Reason } from './pending.ts';
import { isRootType, type Subscription, subscriptionTo, wants } from './subscription.ts';
import {
  firstTogether,
  type Held,
  newTypeState,
  type Permit,
  type Response,
  type Rules,
  recordAnswer,
  recordHeld,
  recordSent,
  type SentResponse,
  type Stamp,
  supersede,
  type TypeState,
  touch,
  touchAll,
} from './type-state.ts';

/** Source of the rules: xDS protocol, "ACK/NACK and resource type instance version". */
export const sotwRules: Rules = { open, apply, compare, respond };

/** The nonce of a first request is of an earlier stream and means nothing here. */
function open({ type, subscribe, version }: XdsRequest): TypeState {
  const subscription = subscriptionOf(type, subscribe, false);
  const everNamed = subscribe.length > 0;
  return newTypeState({ type, subscription, everNamed, answerOwed: true, claimedVersion: version, work: subscribe.length });
}

function apply(state: TypeState, { type, nonce, error, subscribe }: XdsRequest, now: number): boolean {
  // written before the client saw our last response; what it wants it says again in the answer to that
  if (nonce !== '' && nonce !== state.sent?.nonce) return false;
  const answered = recordAnswer(state, nonce, error, now);
  if (answered && isRootType(type)) answerToWhole(state, answered, error === undefined);
  state.work += subscribe.length;
  const before = state.subscription;
  const after = subscriptionOf(type, subscribe, state.everNamed);
  if (subscribe.length > 0) state.everNamed = true;
  if (sameSubscription(before, after)) return answered !== undefined;
  state.subscription = after;
  state.work += before.names.size;
  if (before.wildcard !== after.wildcard) {
    state.work += state.held.size;
    for (const name of state.held.keys()) if (!wants(after, name)) forget(state, name);
    state.answerOwed ||= after.wildcard;
    touchAll(state);
  }
  for (const name of before.names) {
    if (after.names.has(name)) continue;
    if (after.wildcard) touch(state, name);
    else forget(state, name);
  }
  for (const name of after.names) if (!before.names.has(name)) touch(state, name);
  return true;
}

/** The client gave it up: if it asks for it again it is sent again. */
function forget(state: TypeState, name: string): void {
  state.held.delete(name);
  state.owed.delete(name);
  supersede(state, [name]);
  touch(state, name);
}

/** A whole response is accepted or refused whole: accepted, nothing older stands; refused, its parts cannot be tried one by one. */
function answerToWhole(state: TypeState, { resources, versions }: SentResponse, accepted: boolean): void {
  if (state.suspects && state.verdict)
    state.verdict = { ...state.verdict, refused: resources.map((name, index) => ({ name, version: versions[index] ?? '' })) };
  state.suspects = undefined;
  if (accepted) state.nacked = undefined;
}

function subscriptionOf(type: TypeState['type'], names: readonly string[], everNamed: boolean): Subscription {
  return names.length === 0 && !everNamed && isRootType(type) ? { wildcard: true, names: new Set() } : subscriptionTo(names);
}

function sameSubscription(a: Subscription, b: Subscription): boolean {
  if (a.wildcard !== b.wildcard || a.names.size !== b.names.size) return false;
  for (const name of a.names) if (!b.names.has(name)) return false;
  return true;
}

/**
 * Types other than clusters and listeners have no word for a deletion. What is gone is forgotten, so that it is sent when it comes
 * back.
 */
function compare(state: TypeState, resources: ResourcesByName, name: string): Reason | undefined {
  const { type, subscription, held, owed, answerOwed } = state;
  const resource = resources.get(name);
  if (!resource && isRootType(type)) return held.has(name) ? 'removed' : undefined;
  if (!resource) {
    if (held.delete(name)) supersede(state, [name]);
    return undefined;
  }
  if (!wants(subscription, name)) return undefined;
  if (owed.has(name)) return 'asked';
  const known = held.get(name);
  if (known?.version === resource.version) return undefined;
  return answerOwed || (!known && subscription.names.has(name)) ? 'asked' : 'changed';
}

function respond(state: TypeState, resources: ResourcesByName, permit: Permit, stamp: Stamp): Response | undefined {
  return isRootType(state.type) ? respondWhole(state, resources, permit, stamp) : respondPart(state, resources, permit, stamp);
}

/** Clusters and listeners: a response is the whole truth, and what it leaves out is deleted. */
function respondWhole(state: TypeState, resources: ResourcesByName, permit: Permit, { nonce, now }: Stamp): Response | undefined {
  const { pending, type, subscription } = state;
  const answers = permit.asked && (pending.asked.size > 0 || state.answerOwed);
  if (!answers && !(permit.changed && pending.changed.size > 0) && !(permit.removed && pending.removed.size > 0)) return undefined;
  // a removal that has to wait is left in, with the content the client has
  const kept = permit.removed ? [] : [...pending.removed].map((name) => state.held.get(name)).filter(isWhole);
  const sending = [...wanted(subscription, resources), ...kept];
  state.work += sending.length;
  const version = sending.length === resources.size && kept.length === 0 ? collectionVersion(resources) : versionOf(sending);
  // after a reconnect: safe only for the wildcard, where the client cannot have asked for anything it has not seen
  const knows = state.answerOwed && state.claimedVersion === version && subscription.wildcard && subscription.names.size === 0;
  const fresh = [...pending.asked, ...pending.changed].map((name) => resources.get(name)).filter((resource) => resource !== undefined);
  state.held = new Map(sending.map((resource) => [resource.name, resource]));
  state.answerOwed = false;
  state.claimedVersion = '';
  pending.clear();
  for (const { name } of kept) pending.put(name, 'removed');
  if (knows) return undefined;
  const message = { type, nonce, version, resources: sending, removed: [] };
  recordSent(state, message, now, false);
  return { message, fresh };
}

/** Other types: a response says something of the resources in it, and nothing of the rest. A newer response makes older ones stale. */
function respondPart(state: TypeState, resources: ResourcesByName, permit: Permit, { nonce, now }: Stamp): Response | undefined {
  const askedBefore = state.pending.asked.size;
  const sending = firstTogether(state, resources, permit);
  if (sending.length === 0) return undefined;
  recordHeld(state, sending);
  if (sending.length >= askedBefore) state.answerOwed = false;
  state.claimedVersion = '';
  const message = { type: state.type, nonce, version: versionOf(sending), resources: sending, removed: [] };
  recordSent(state, message, now, false);
  return { message, fresh: sending };
}

function wanted(subscription: Subscription, resources: ResourcesByName): CachedResource[] {
  if (subscription.wildcard) return [...resources.values()];
  return [...subscription.names].map((name) => resources.get(name)).filter((resource) => resource !== undefined);
}

function isWhole(held: Held | undefined): held is CachedResource {
  return held !== undefined && 'bytes' in held;
}
