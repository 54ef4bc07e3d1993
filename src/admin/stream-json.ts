import type { StreamStatus } from '../server/stream-status.ts';

/** One xDS stream as operators get it: snake_case, times in RFC 3339. */
export interface StreamJson {
  readonly peer: string;
  readonly envoy_version?: string;
  /** What the stream waits for; absent while it is served. */
  readonly reason?: string;
  /** What is wrong with this client although it is served, e.g. that adsum was never tried with its Envoy. */
  readonly warning?: string;
  readonly variant: 'delta' | 'sotw';
  readonly connected_at: string;
  readonly types: readonly TypeJson[];
}

export interface TypeJson {
  readonly type: string;
  /** Subscribed to all there are, and to so many by name. */
  readonly wildcard: boolean;
  readonly names: number;
  readonly sent?: ResponseJson & { readonly resources: number; readonly removed: number };
  readonly acked?: ResponseJson;
  /** Present while a rejected response has not been superseded by an accepted one. */
  readonly nacked?: ResponseJson & { readonly error: string; readonly resources: readonly string[] };
  /** Something is unsent, or sent and not answered. */
  readonly pending: boolean;
}

export interface ResponseJson {
  readonly version: string;
  readonly at: string;
}

export function streamJson(stream: StreamStatus, { reason, warning }: { reason?: string | undefined; warning?: string | undefined }): StreamJson {
  return {
    peer: stream.peer,
    ...(stream.envoyVersion === undefined ? {} : { envoy_version: stream.envoyVersion.join('.') }),
    ...(reason === undefined ? {} : { reason }),
    ...(warning === undefined ? {} : { warning }),
    variant: stream.variant,
    connected_at: time(stream.connectedAt),
    types: stream.types.map(({ type, subscribed, sent, acked, nacked, pending }) => ({
      type,
      ...subscribed,
      ...(sent ? { sent: { ...response(sent), resources: sent.resources, removed: sent.removed } } : {}),
      ...(acked ? { acked: response(acked) } : {}),
      ...(nacked ? { nacked: { ...response(nacked), error: nacked.error, resources: nacked.resources } } : {}),
      pending,
    })),
  };
}

function response({ version, at }: { version: string; at: number }): ResponseJson {
  return { version, at: time(at) };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
