import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ProxyDirectory } from './proxy-directory.ts';
import type { StreamStatus } from './stream-status.ts';

export interface XdsServerOptions {
  /** Port 0 takes a free one. */
  readonly address: { readonly host: string; readonly port: number };
  /** PEM. Without it the server speaks plain text. */
  readonly tls?: { readonly cert: string; readonly key: string /** PEM; given, clients must present a certificate of it. */; readonly clientCa?: string };
  readonly directory: ProxyDirectory;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Aborting it is the same as `close()`. */
  readonly signal?: AbortSignal;
}

export interface XdsServer {
  readonly port: number;
  /** All open streams, oldest first. */
  streams(): StreamStatus[];
  /** Ends all streams (UNAVAILABLE, so that clients reconnect) within two seconds. */
  close(): Promise<void>;
}

/** The address cannot be listened on. `code` is the system's, e.g. `EADDRINUSE`. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
  }
}

/** Serves xDS over gRPC. @throws ListenError when the port is in use or the address is none of this machine */
export async function startXdsServer(_options: XdsServerOptions): Promise<XdsServer> {
  throw new Error('not yet');
}
