import { collectionVersion } from '../cache/collection-version.ts';
import type { CachedResource, ResourcesByName } from '../cache/resource.ts';
import type { XdsRequest } from './messages.ts';
import { changeSubscription, isRootType, subscriptionTo, WILDCARD, wants } from './subscription.ts';
import {
  type Difference,
  firstTogether,
  type Held,
  type Permit,
  recordAnswer,
  recordSent,
  type Stamp,
  type Step,
  supersede,
  type TypeState,
} from './type-state.ts';

/** Keeps a response below the 4 MiB that gRPC libraries take by default. Envoy itself has no limit. */
const MAX_RESPONSE_BYTES = 3 * 1024 * 1024;

/** Source of the rules: xDS protocol, "Incremental xDS". */
export function applyDeltaRequest(state: TypeState | undefined, request: XdsRequest, now: number): TypeState {
  return state ? applyLater(state, request, now) : applyFirst(request);
}

/** The nonce of a first request is of an earlier stream and means nothing here. */
function applyFirst({ type, subscribe, initialVersions }: XdsRequest): TypeState {
  const subscription = subscribe.length === 0 && isRootType(type) ? { wildcard: true, names: new Set<string>() } : subscriptionTo(subscribe);
  const held = new Map<string, Held>();
  for (const [name, version] of initialVersions) if (wants(subscription, name)) held.set(name, { version });
  return {
    type,
    subscription,
    everNamed: true,
    held,
    owed: new Set([...subscription.names].filter((name) => !held.has(name))),
    alone: new Set(),
    answerOwed: subscription.wildcard && initialVersions.size === 0,
    claimedVersion: '',
    unanswered: [],
  };
}

/** Delta nonces only answer; whatever nonce a request carries, its subscriptions count. */
function applyLater(before: TypeState, { nonce, error, subscribe, unsubscribe }: XdsRequest, now: number): TypeState {
  const state = recordAnswer(before, nonce, error, now);
  if (subscribe.length === 0 && unsubscribe.length === 0) return state;
  const subscription = changeSubscription(state.subscription, subscribe, unsubscribe);
  const held = new Map(state.held);
  const owed = new Set(state.owed);
  for (const name of unsubscribe) {
    if (!state.subscription.names.has(name)) continue;
    if (subscription.wildcard) {
      // the client cannot know whether the wildcard still covers it, so it is told
      owed.add(name);
    } else {
      held.delete(name);
      owed.delete(name);
    }
  }
  if (state.subscription.wildcard && !subscription.wildcard) {
    for (const name of held.keys()) if (!subscription.names.has(name)) held.delete(name);
    for (const name of owed) if (!subscription.names.has(name)) owed.delete(name);
  }
  for (const name of subscribe) {
    if (name !== WILDCARD) owed.add(name);
    else if (state.subscription.wildcard) for (const [known, resource] of held) if (resource) owed.add(known);
  }
  const nacked = subscription.wildcard ? state.nacked : supersede(state.nacked, unsubscribe);
  return { ...state, subscription, held, owed, nacked, answerOwed: state.answerOwed || subscribe.includes(WILDCARD), settledWith: undefined };
}

export function deltaDifference(state: TypeState, resources: ResourcesByName): Difference {
  const { subscription, held, owed, answerOwed } = state;
  const asked: CachedResource[] = [];
  const changed: CachedResource[] = [];
  const absent: string[] = [];
  const removed: string[] = [];
  const compare = (resource: CachedResource) => {
    if (owed.has(resource.name)) asked.push(resource);
    else if (held.get(resource.name)?.version !== resource.version) (answerOwed ? asked : changed).push(resource);
  };
  if (subscription.wildcard) {
    for (const resource of resources.values()) compare(resource);
    for (const [name, known] of held) if (known && !resources.has(name) && !subscription.names.has(name) && !owed.has(name)) removed.push(name);
    for (const name of owed) if (!resources.has(name) && !subscription.names.has(name)) absent.push(name);
  }
  for (const name of subscription.names) {
    const resource = resources.get(name);
    if (resource) {
      if (!subscription.wildcard) compare(resource);
    } else if (owed.has(name) || !held.has(name)) absent.push(name);
    else if (held.get(name)) removed.push(name);
  }
  return { asked, absent, changed, removed };
}

/** @param resources all of the type, which the difference was made with */
export function deltaRespond(state: TypeState, resources: ResourcesByName, difference: Difference, permit: Permit, stamp: Stamp): Step {
  const wanted = [...(permit.asked ? difference.asked : []), ...(permit.changed ? difference.changed : [])];
  const sending = fit(state, wanted);
  const complete = sending.length === wanted.length;
  const removed = complete ? [...(permit.asked ? difference.absent : []), ...(permit.removed ? difference.removed : [])] : [];
  const answers = permit.asked && state.answerOwed;
  if (sending.length === 0 && removed.length === 0 && !answers) return { state };

  const held = new Map(state.held);
  const owed = new Set(state.owed);
  const alone = new Set(state.alone);
  for (const resource of sending) {
    held.set(resource.name, resource);
    owed.delete(resource.name);
    alone.delete(resource.name);
  }
  for (const name of removed) {
    if (state.subscription.names.has(name)) held.set(name, undefined);
    else held.delete(name);
    owed.delete(name);
  }
  const response = { type: state.type, nonce: stamp.nonce, version: collectionVersion(resources), resources: sending, removed };
  const answerOwed = state.answerOwed && !(answers && sending.length >= difference.asked.length);
  return { state: recordSent({ ...state, held, owed, alone, answerOwed }, response, stamp.now, state.unanswered), response };
}

/** As many as one response may carry. */
function fit(state: TypeState, resources: readonly CachedResource[]): readonly CachedResource[] {
  const together = firstTogether(state, resources);
  let bytes = 0;
  const end = together.findIndex((resource, index) => {
    bytes += resource.bytes.length + resource.name.length + 200;
    return index > 0 && bytes > MAX_RESPONSE_BYTES;
  });
  return end < 0 ? together : together.slice(0, end);
}
