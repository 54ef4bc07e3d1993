/** A stream that was turned away before anything was sent on it, or when its token was no longer good. */
export interface Refusal {
  readonly id: string;
  /** As the stream said. */
  readonly nodeName: string | undefined;
  readonly peer: string;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What one that stands in front of the proxy directory tells operators. */
export interface Admission {
  /** Streams that are open and not served yet, with what they wait for. */
  held(): readonly { readonly id: string; readonly nodeName: string | undefined; readonly reason: string }[];
  /** The last of each proxy, while it is news. */
  refusals(): readonly Refusal[];
}
