import { randomBytes } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import type { ResourceType } from '../cache/resource.ts';
import { XDS_METHODS, type XdsMethod } from '../proto/services.ts';
import type { Clock } from '../runtime/clock.ts';
import { FairQueue } from '../runtime/fair-queue.ts';
import type { Logger } from '../runtime/logger.ts';
import { EncodedResources } from './encoded-resources.ts';
import type { ProxyDirectory } from './proxy-directory.ts';
import type { StreamStatus } from './stream-status.ts';
import { type StreamTransport, XdsStream } from './xds-stream.ts';

export interface XdsServerOptions {
  /** Port 0 takes a free one. */
  readonly address: { readonly host: string; readonly port: number };
  /** PEM. Without it the server speaks plain text. */
  readonly tls?: { readonly cert: string; readonly key: string /** PEM; given, clients must present a certificate of it. */; readonly clientCa?: string };
  readonly directory: ProxyDirectory;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Called for every refusal that is not a mere repetition of the one before. */
  readonly onNack?: (type: ResourceType) => void;
  /** Aborting it is the same as `close()`. */
  readonly signal?: AbortSignal;
}

export interface XdsServer {
  readonly port: number;
  /** All open streams whose node is known, oldest first. */
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

/** How long clients may take to let go of their connections when the server closes. */
const CLOSE_MS = 2000;

const OPTIONS: grpc.ServerOptions = {
  // finds proxies that vanished without closing their connection
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.keepalive_permit_without_calls': 1,
  // each proxy has a stream; HTTP/2 itself ends at 2^31 - 1
  'grpc.max_concurrent_streams': 2 ** 31 - 1,
  'grpc.max_send_message_length': -1,
  // a reconnecting Envoy lists all it has, by name and version: some 100 bytes each
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.enable_channelz': 0,
};

/**
 * Serves xDS over gRPC: ADS and the per-type services, in both variants.
 * @throws ListenError when the port is in use or the address is none of this machine
 */
export async function startXdsServer({ address, tls, directory, logger, clock, onNack, signal }: XdsServerOptions): Promise<XdsServer> {
  // grpc-js writes to stderr of its own accord; what matters reaches us as errors and events as well
  const quietly = (...words: unknown[]) => logger.debug({ words }, 'grpc-js');
  grpc.setLogger({ error: quietly, info: quietly, debug: quietly });
  const server = new grpc.Server(OPTIONS);
  const streams = new Map<number, XdsStream>();
  const shared = { directory, logger, clock, encoded: new EncodedResources(), turns: new FairQueue<() => void>({ work: (turn) => turn() }), onNack };
  // nonces must not look like those of this server's former life
  const life = randomBytes(3).toString('hex');
  let opened = 0;

  function accept(method: XdsMethod, call: Call): void {
    const number = ++opened;
    const stream = new XdsStream(method, transportOf(call), { ...shared, number, noncePrefix: `${life}-${number}-` });
    streams.set(number, stream);
    const close = () => {
      stream.close();
      streams.delete(number);
    };
    call.on('data', (message: Buffer) => stream.receive(message));
    call.on('end', () => {
      close();
      call.end();
    });
    call.on('cancelled', close);
    call.on('close', close);
    call.on('error', (error: Error) => {
      // also how a stream is ended from this side, after it was closed
      if (streams.get(number)?.closed === false) logger.debug({ stream: number, reason: error.message }, 'stream broke');
      close();
    });
  }

  for (const methods of groupByService(XDS_METHODS)) {
    server.addService(
      Object.fromEntries(methods.map((method) => [method.path, definitionOf(method.path)])),
      Object.fromEntries(methods.map((method) => [method.path, (call: Call) => accept(method, call)])),
    );
  }

  const port = await listen(server, address, credentialsOf(tls));
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= shutDown(server, [...streams.values()], clock);
    return closing;
  };
  signal?.addEventListener('abort', () => void close(), { once: true });
  if (signal?.aborted) await close();
  return {
    port,
    streams: () => Array.from(streams.values(), (stream) => stream.status()).filter((status) => status !== undefined),
    close,
  };
}

type Call = grpc.ServerDuplexStream<Buffer, Buffer>;

function transportOf(call: Call): StreamTransport {
  const token = call.metadata.get('x-consul-token')[0];
  return {
    peer: call.getPeer(),
    ...(token !== undefined && { token: token.toString() }),
    write: (message, flushed) => {
      call.write(message, flushed);
    },
    end: (code, details) => {
      if (code === 'OK') call.end();
      else call.emit('error', { code: grpc.status[code], details, metadata: readableMessage(details) });
    },
  };
}

/**
 * grpc-js writes `%20` for every space, which Envoy's log shows as it is. gRPC asks for less: only what is not printable ASCII, and
 * `%`, is escaped (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Status-Message).
 */
function readableMessage(details: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('grpc-message', details.replace(/[^ -$&-~]+/g, encodeURIComponent));
  return metadata;
}

/** Messages stay bytes here, so that one that cannot be read ends its own stream with a reason. */
function definitionOf(path: string): grpc.MethodDefinition<Buffer, Buffer> {
  const asItIs = (bytes: Buffer) => bytes;
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  };
}

/** grpc-js takes the methods of one service together. */
function groupByService(methods: readonly XdsMethod[]): XdsMethod[][] {
  const groups = new Map<string, XdsMethod[]>();
  for (const method of methods) {
    const service = method.path.slice(1, method.path.lastIndexOf('/'));
    groups.set(service, [...(groups.get(service) ?? []), method]);
  }
  return [...groups.values()];
}

function credentialsOf(tls: XdsServerOptions['tls']): grpc.ServerCredentials {
  if (!tls) return grpc.ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  return grpc.ServerCredentials.createSsl(tls.clientCa ? Buffer.from(tls.clientCa) : null, [pair], tls.clientCa !== undefined);
}

function listen(server: grpc.Server, { host, port }: XdsServerOptions['address'], credentials: grpc.ServerCredentials): Promise<number> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(target, credentials, (error, bound) => {
      if (!error) return resolve(bound);
      const code = /\bE[A-Z]{3,}\b/.exec(error.message)?.[0] ?? 'UNKNOWN';
      reject(new ListenError(code, `cannot listen on ${target}: ${code === 'UNKNOWN' ? error.message : code}`));
    });
  });
}

async function shutDown(server: grpc.Server, streams: readonly XdsStream[], clock: Clock): Promise<void> {
  for (const stream of streams) stream.end('UNAVAILABLE', 'adsum is shutting down');
  await new Promise<void>((resolve) => {
    const cancel = clock.after(CLOSE_MS, () => {
      server.forceShutdown();
      resolve();
    });
    server.tryShutdown(() => {
      cancel();
      resolve();
    });
  });
}
