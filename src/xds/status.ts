import type { ResourceType } from '../cache/resource.ts';

/** How far one type of one stream is, for operators. Times are milliseconds since the epoch. */
export interface TypeStatus {
  readonly type: ResourceType;
  readonly subscribed: { readonly wildcard: boolean; readonly names: number };
  /** The last response. */
  readonly sent?: { readonly nonce: string; readonly version: string; readonly at: number; readonly resources: number; readonly removed: number };
  /** The last response that the client accepted. */
  readonly acked?: { readonly nonce: string; readonly version: string; readonly at: number };
  /** A refusal that still stands: none of what it names was accepted since. */
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
  /** The resources its words name; all of the response when they name none. */
  readonly resources: readonly string[];
}
