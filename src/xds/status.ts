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
