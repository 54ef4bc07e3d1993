import type { ResourceType } from '../cache/resource.ts';

/** What a client wants of one type. */
export interface Subscription {
  /** Everything the proxy should have. */
  readonly wildcard: boolean;
  /** Names asked for one by one, beside the wildcard or without it. */
  readonly names: ReadonlySet<string>;
}

export const WILDCARD = '*';

/**
 * The types of which a client that names nothing in its first request wants everything, and of which a state-of-the-world
 * response is always complete. Source: xDS protocol, "How the client specifies what resources to return".
 */
export function isRootType(type: ResourceType): boolean {
  return type === 'cluster' || type === 'listener';
}

export function wants(subscription: Subscription, name: string): boolean {
  return subscription.wildcard || subscription.names.has(name);
}

/** The subscription that a list of names spells. */
export function subscriptionTo(names: readonly string[]): Subscription {
  const explicit = new Set(names);
  return { wildcard: explicit.delete(WILDCARD), names: explicit };
}

/** Names given up first, then names added, so that a name in both lists ends subscribed. */
export function changeSubscription(subscription: Subscription, add: readonly string[], drop: readonly string[]): Subscription {
  if (add.length === 0 && drop.length === 0) return subscription;
  const names = new Set(subscription.names);
  for (const name of drop) names.delete(name);
  for (const name of add) names.add(name);
  names.delete(WILDCARD);
  return { wildcard: (subscription.wildcard && !drop.includes(WILDCARD)) || add.includes(WILDCARD), names };
}
