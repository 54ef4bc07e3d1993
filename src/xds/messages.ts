import type { CachedResource, ResourceType } from '../cache/resource.ts';

/** Two ways to speak xDS: only what changed, or (for clusters and listeners) always everything. */
export type Variant = 'delta' | 'sotw';

/** A request as the state machines see it: of a type adsum knows, without the node. */
export interface XdsRequest {
  readonly type: ResourceType;
  /** The response this answers; empty when it answers none. */
  readonly nonce: string;
  /** The client's reason for refusing that response. */
  readonly error?: string;
  /** Delta: names to add. State of the world: all the names. */
  readonly subscribe: readonly string[];
  /** Delta only. */
  readonly unsubscribe: readonly string[];
  /** Delta, first request of a type: what the client kept from an earlier stream, name → version. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** State of the world only: the last version the client accepted, perhaps on an earlier stream. */
  readonly version: string;
}

export interface XdsResponse {
  readonly type: ResourceType;
  /** Unique on its stream. */
  readonly nonce: string;
  /** Hash of what the type holds (delta) or of what the response holds (state of the world). */
  readonly version: string;
  readonly resources: readonly CachedResource[];
  /** Delta only. */
  readonly removed: readonly string[];
}
