import type { Snapshot } from '../cache/resource.ts';
import type { EnvoyTraits } from '../envoy/resource.ts';
import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import type { Watch } from '../query/query-store.ts';
import type { ProxyIdentity } from '../topology/proxy-identity.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import type { Answered } from './change-meter.ts';
import type { Configuration } from './configurations.ts';
import type { Leaving } from './lingering.ts';
import type { RefusedResources } from './refused-resources.ts';

/** Whoever wants a proxy's snapshots: one per xDS stream. */
export interface SnapshotSubscriber {
  update(snapshot: Snapshot, answered?: Answered): void;
}

/** What a topology makes of a proxy: who it is and what it should do, or why it cannot be told. */
export type ResolvedProxy =
  | { readonly instance: Instance; readonly identity: ProxyIdentity; readonly view: ProxyView; readonly reason?: undefined }
  | { readonly instance?: undefined; readonly reason: string };

/** One proxy as its streams see it: who it is, what it was last given, and why it gets nothing. */
export interface ServedProxy {
  readonly id: string;
  /** As the stream said; needed only where the ID is used on several nodes. */
  readonly nodeName: string | undefined;
  readonly traits: EnvoyTraits;
  readonly subscribers: Set<SnapshotSubscriber>;
  /** Undefined before there is a topology. */
  watch: Watch<ResolvedProxy> | undefined;
  instance: Instance | undefined;
  /** Undefined before the proxy was known. */
  identity: ProxyIdentity | undefined;
  /** Why there is nothing (new) to serve; undefined while all is well. */
  waitingFor: string | undefined;
  /** What went wrong when it was last to be configured. Then it keeps what it has. */
  failure: Problem | undefined;
  /** What its Envoys did not take. */
  readonly refused: RefusedResources;
  /** Everything but its secrets, which have a life of their own. Undefined before the proxy was known. */
  configuration: Configuration | undefined;
  snapshot: Snapshot | undefined;
  leaving: Leaving;
  cancelLeaving: () => void;
}
