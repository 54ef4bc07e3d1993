import { collectionVersion } from '../cache/collection-version.ts';
import type { ResourcesByName } from '../cache/resource.ts';
import type { XdsRequest } from './messages.ts';
import type { Reason } from './pending.ts';
import { isRootType, subscriptionTo, WILDCARD, wants } from './subscription.ts';
import {
  firstTogether,
  type Held,
  newTypeState,
  type Permit,
  type Response,
  Room,
  type Rules,
  recordAnswer,
  recordHeld,
  recordSent,
  type Stamp,
  supersede,
  type TypeState,
  touch,
  touchAll,
} from './type-state.ts';

/** Source of the rules: xDS protocol, "Incremental xDS". */
export const deltaRules: Rules = { open, apply, compare, respond };

/** The nonce of a first request is of an earlier stream and means nothing here. */
function open({ type, subscribe, initialVersions }: XdsRequest): TypeState {
  const subscription = subscribe.length === 0 && isRootType(type) ? { wildcard: true, names: new Set<string>() } : subscriptionTo(subscribe);
  const held = new Map<string, Held>();
  for (const [name, version] of initialVersions) if (wants(subscription, name)) held.set(name, { version });
  const owed = new Set<string>();
  for (const name of subscription.names) if (!held.has(name)) owed.add(name);
  const answerOwed = subscription.wildcard && initialVersions.size === 0;
  const work = subscribe.length + initialVersions.size;
  return newTypeState({ type, subscription, everNamed: true, held, owed, answerOwed, brought: held.size, work });
}

/** Delta nonces only answer; whatever nonce a request carries, its subscriptions count. */
function apply(state: TypeState, { nonce, error, subscribe, unsubscribe }: XdsRequest, now: number): boolean {
  const answered = recordAnswer(state, nonce, error, now) !== undefined;
  const { names, wildcard } = state.subscription;
  // names given up first, then names added, so that a name in both lists ends subscribed
  for (const name of unsubscribe) giveUp(state, name);
  for (const name of subscribe) {
    if (name === WILDCARD) continue;
    names.add(name);
    state.owed.add(name);
    touch(state, name);
  }
  if (subscribe.includes(WILDCARD)) askForAll(state, wildcard);
  else if (wildcard && unsubscribe.includes(WILDCARD)) stopAskingForAll(state);
  return answered || subscribe.length > 0 || unsubscribe.length > 0;
}

function giveUp(state: TypeState, name: string): void {
  if (!state.subscription.names.delete(name)) return;
  // under the wildcard the client cannot know whether the name is still covered, so it is told
  if (state.subscription.wildcard) state.owed.add(name);
  else {
    state.held.delete(name);
    state.owed.delete(name);
    supersede(state, [name]);
  }
  touch(state, name);
}

function askForAll(state: TypeState, before: boolean): void {
  if (before) for (const [name, known] of state.held) if (known) state.owed.add(name);
  state.work += before ? state.held.size : 0;
  state.subscription.wildcard = true;
  state.answerOwed = true;
  touchAll(state);
}

function stopAskingForAll(state: TypeState): void {
  const { names } = state.subscription;
  state.work += state.held.size + state.owed.size;
  state.subscription.wildcard = false;
  for (const name of state.held.keys()) if (!names.has(name)) state.held.delete(name);
  for (const name of state.owed) if (!names.has(name)) state.owed.delete(name);
  touchAll(state);
}

function compare({ subscription, held, owed, answerOwed }: TypeState, resources: ResourcesByName, name: string): Reason | undefined {
  const named = subscription.names.has(name);
  if (!named && !subscription.wildcard) return undefined;
  const resource = resources.get(name);
  if (resource) {
    if (owed.has(name)) return 'asked';
    if (held.get(name)?.version === resource.version) return undefined;
    return answerOwed ? 'asked' : 'changed';
  }
  if (owed.has(name) || (named && !held.has(name))) return 'absent';
  return held.get(name) ? 'removed' : undefined;
}

/** @param resources all of the type, which the pending names were found with */
function respond(state: TypeState, resources: ResourcesByName, permit: Permit, { nonce, now }: Stamp): Response | undefined {
  const { pending, type } = state;
  const wanted = (permit.asked ? pending.asked.size : 0) + (permit.changed ? pending.changed.size : 0);
  const askedBefore = pending.asked.size;
  const room = new Room();
  const sending = firstTogether(state, resources, permit, room);
  // names that are gone are said last
  const removed = sending.length === wanted ? goneNames(state, permit, room) : [];
  const answers = permit.asked && state.answerOwed;
  if (sending.length === 0 && removed.length === 0 && !answers) return undefined;
  recordHeld(state, sending);
  for (const name of removed) {
    if (state.subscription.names.has(name)) state.held.set(name, undefined);
    else state.held.delete(name);
    state.owed.delete(name);
    pending.put(name, undefined);
  }
  state.work += removed.length;
  if (answers && sending.length >= askedBefore) state.answerOwed = false;
  const message = { type, nonce, version: collectionVersion(resources), resources: sending, removed };
  recordSent(state, message, now, true);
  return { message, fresh: sending };
}

function goneNames({ pending }: TypeState, permit: Permit, room: Room): string[] {
  const gone: string[] = [];
  for (const names of [permit.asked ? pending.absent : [], permit.removed ? pending.removed : []]) {
    for (const name of names) {
      if (!room.take(name.length)) return gone;
      gone.push(name);
    }
  }
  return gone;
}
