import type { ResourceType } from '../cache/resource.ts';

/** How far one type of one stream is, for operators. Times are milliseconds since the epoch. */
export interface TypeStatus {
  readonly type: ResourceType;
  readonly subscribed: { readonly wildcard: boolean; readonly names: number };
  /** The last response. */
  readonly sent?: { readonly nonce: string; readonly version: string; readonly at: number; readonly resources: number; readonly removed: number };
  /** The last response that the client accepted. */
  readonly acked?: { readonly nonce: string; readonly version: string; readonly at: number };
  /** The last refusal, while something of what was refused has not been accepted, replaced or removed since. */
  readonly nacked?: Nack;
  /** Something is unsent, or sent and not answered. */
  readonly pending: boolean;
}

/** A response the client refused. */
export interface Nack {
  readonly nonce: string;
  readonly version: string;
  readonly at: number;
  /** The client's own words. */
  readonly error: string;
  /** What still stands refused, by this and earlier words: the resources they name; all of the response when they name none. */
  readonly resources: readonly string[];
}

/** A resource as it was sent. */
export interface SentResource {
  readonly name: string;
  readonly version: string;
}

/** What a client said of a response, resource by resource. */
export interface Verdict {
  readonly type: ResourceType;
  readonly accepted: readonly SentResource[];
  /** Those that its words name, and all where they name none and the response cannot be tried in parts. */
  readonly refused: readonly SentResource[];
  /** The client's own words, cut. */
  readonly error: string | undefined;
  readonly at: number;
}
