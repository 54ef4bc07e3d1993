import type { TypeStatus } from '../xds/status.ts';

/** One xDS stream, for operators. */
export interface StreamStatus {
  /** Counts the streams of this server, from 1. */
  readonly stream: number;
  readonly nodeId: string;
  readonly nodeName?: string;
  readonly peer: string;
  /** `[1, 36, 4]` */
  readonly envoyVersion?: readonly [number, number, number];
  readonly variant: 'delta' | 'sotw';
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** False: no snapshot yet, the proxy is unknown and waits. */
  readonly known: boolean;
  /** The types the client asked for, in the order they are sent. */
  readonly types: readonly TypeStatus[];
}
