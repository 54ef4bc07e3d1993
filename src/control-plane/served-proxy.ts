import type { CachedResource, ResourceType, Snapshot } from '../cache/resource.ts';
import type { EnvoyTraits } from '../envoy/resource.ts';
import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import type { ProxyIdentity } from '../topology/proxy-identity.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import type { Leaving } from './lingering.ts';

/** Whoever wants a proxy's snapshots: one per xDS stream. */
export interface SnapshotSubscriber {
  update(snapshot: Snapshot): void;
}

/** What a topology makes of a proxy: everything but its secrets, which have a life of their own. */
export interface Configuration {
  readonly view: ProxyView;
  readonly resources: readonly (readonly [ResourceType, CachedResource])[];
}

/** One proxy as its streams see it: who it is, what it was last given, and why it gets nothing. */
export interface ServedProxy {
  readonly id: string;
  /** As the stream said; needed only where the ID is used on several nodes. */
  readonly nodeName: string | undefined;
  readonly traits: EnvoyTraits;
  readonly subscribers: Set<SnapshotSubscriber>;
  instance: Instance | undefined;
  /** Undefined before the proxy was known. */
  identity: ProxyIdentity | undefined;
  /** Why there is nothing (new) to serve; undefined while all is well. */
  waitingFor: string | undefined;
  problems: readonly Problem[];
  /** Undefined: to be worked out anew. */
  configuration: Configuration | undefined;
  snapshot: Snapshot | undefined;
  leaving: Leaving;
  cancelLeaving: () => void;
}
