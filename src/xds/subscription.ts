import type { ResourceType } from '../cache/resource.ts';

/** What a client wants of one type. */
export interface Subscription {
  /** Everything the proxy should have. */
  wildcard: boolean;
  /** Names asked for one by one, beside the wildcard or without it. */
  names: Set<string>;
}

export const WILDCARD = '*';

/**
 * The types of which a client that names nothing in its first request wants everything, and of which a state-of-the-world
 * response is always complete. Source: xDS protocol, "How the client specifies what resources to return".
 */
export function isRootType(type: ResourceType): boolean {
  return type === 'cluster' || type === 'listener';
}

export function wants({ wildcard, names }: Subscription, name: string): boolean {
  return wildcard || names.has(name);
}

/** The subscription that a list of names spells. */
export function subscriptionTo(list: readonly string[]): Subscription {
  const names = new Set(list);
  return { wildcard: names.delete(WILDCARD), names };
}
