import type { ResourceType, Snapshot } from '../../src/cache/resource.ts';
import type { Variant } from '../../src/xds/messages.ts';
import type { TypeStatus } from '../../src/xds/status.ts';

/** A request as a test writes it; what is left out is empty. `names` is what state-of-the-world clients list. */
export interface Sent {
  readonly type: ResourceType;
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  readonly initial?: Readonly<Record<string, string>>;
  readonly names?: readonly string[];
  readonly version?: string;
  readonly nonce?: string;
  readonly error?: string;
}

/** A response as a test reads it; resources as `name=tag`. */
export interface Got {
  readonly type: ResourceType;
  readonly nonce: string;
  readonly version: string;
  readonly resources: readonly string[];
  /** Delta: name → version of the resource. */
  readonly versions: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
}

/** One stream of one client. */
export interface WireStream {
  send(request: Sent): void;
  /** Everything that arrived since the last call, once the server has nothing more to say. */
  drain(): Promise<Got[]>;
  status(): readonly TypeStatus[];
}

/** A way between client and server: none at all, or real gRPC. */
export interface Wire {
  readonly name: string;
  open(variant: Variant): WireStream;
  publish(snapshot: Snapshot): void;
  /** Turns the server's clock. */
  advance(ms: number): void;
  close(): Promise<void>;
}
