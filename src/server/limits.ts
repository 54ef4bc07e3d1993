import { Budget } from './budget.ts';

/** What clients of the xDS port may make adsum keep or do. Each limit is far above what Envoys need. */
export interface XdsLimits {
  /** Connections. One more is closed at once. */
  readonly connections: number;
  /** Streams in all, on one connection, and of one proxy (node ID and node name from one host with one token). */
  readonly streams: number;
  readonly streamsPerConnection: number;
  readonly streamsPerProxy: number;
  /** Names that are kept because a client said them, in all, on one connection, and of one proxy. */
  readonly names: number;
  readonly namesPerConnection: number;
  readonly namesPerProxy: number;
  /** Bytes of one request. A reconnecting Envoy lists all it has of a type, by name and version: some 150 bytes each. */
  readonly requestBytes: number;
  /** Bytes that have arrived and are not worked off, whole requests or parts of them, in all and on one connection. */
  readonly inboundBytes: number;
  readonly inboundBytesPerConnection: number;
  /**
   * Requests on one connection: so many at once, and so many a second later on; each KiB of a request counts as one more. A client that
   * is faster is read from more slowly.
   */
  readonly requestsAtOnce: number;
  readonly requestsPerSecond: number;
  /** Bytes of the headers of a call. */
  readonly headerBytes: number;
  /** A connection has to open its first stream within this, TLS handshake included. */
  readonly firstStreamMs: number;
  /** A stream has to send its first request within this. */
  readonly firstRequestMs: number;
}

export const defaultLimits: XdsLimits = {
  connections: 20_000,
  streams: 20_000,
  streamsPerConnection: 100,
  streamsPerProxy: 64,
  names: 2_000_000,
  namesPerConnection: 50_000,
  namesPerProxy: 100_000,
  requestBytes: 4 * 1024 * 1024,
  inboundBytes: 256 * 1024 * 1024,
  inboundBytesPerConnection: 16 * 1024 * 1024,
  requestsAtOnce: 10_000,
  requestsPerSecond: 500,
  headerBytes: 16 * 1024,
  firstStreamMs: 10_000,
  firstRequestMs: 10_000,
};

/** Why a connection or a stream was ended; a label of `adsum_xds_refused_total`. */
export type RefusalReason =
  | 'connections'
  | 'first_stream_deadline'
  | 'streams'
  | 'names'
  | 'request_bytes'
  | 'inbound_bytes'
  | 'header_bytes'
  | 'first_request_deadline'
  | 'compressed'
  | 'invalid';

/** What one proxy uses, on all its streams. */
export interface ProxyBudgets {
  readonly streams: Budget;
  readonly names: Budget;
}

/** What all clients together use. */
export class ServerBudgets {
  readonly streams: Budget;
  readonly names: Budget;
  readonly inboundBytes: Budget;
  readonly #limits: XdsLimits;
  readonly #proxies = new Map<string, ProxyBudgets>();

  constructor(limits: XdsLimits) {
    this.#limits = limits;
    this.streams = new Budget('streams', limits.streams);
    this.names = new Budget('resource names', limits.names);
    this.inboundBytes = new Budget('bytes of requests', limits.inboundBytes);
  }

  /** The budgets of one proxy. Kept while any of its streams is open. */
  ofProxy(key: string): ProxyBudgets {
    let budgets = this.#proxies.get(key);
    if (!budgets) {
      budgets = {
        streams: new Budget('streams of one proxy', this.#limits.streamsPerProxy),
        names: new Budget('resource names of one proxy', this.#limits.namesPerProxy),
      };
      this.#proxies.set(key, budgets);
    }
    return budgets;
  }

  /** Called after a stream of the proxy has given back what it used. */
  release(key: string): void {
    if (this.#proxies.get(key)?.streams.used === 0) this.#proxies.delete(key);
  }

  /** Proxies with an open stream. */
  get proxies(): number {
    return this.#proxies.size;
  }
}
