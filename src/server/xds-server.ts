import { randomBytes } from 'node:crypto';
import type { ServerHttp2Session } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { XDS_METHODS, type XdsMethod } from '../proto/services.ts';
import type { Clock } from '../runtime/clock.ts';
import { FairQueue } from '../runtime/fair-queue.ts';
import type { Logger } from '../runtime/logger.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { takeFrom } from './budget.ts';
import { Connection } from './connection.ts';
import { EncodedResources } from './encoded-resources.ts';
import { type Call, GrpcTransport, http2StreamOf } from './grpc-transport.ts';
import { defaultLimits, type RefusalReason, ServerBudgets, type XdsLimits } from './limits.ts';
import type { EndCode, ProxyDirectory } from './proxy-directory.ts';
import { StreamLog } from './stream-log.ts';
import type { StreamStatus } from './stream-status.ts';
import { type TlsOptions, tlsCredentials } from './tls-credentials.ts';
import { XdsListener } from './xds-listener.ts';
import { XdsStream } from './xds-stream.ts';

export { ListenError } from './xds-listener.ts';

export interface XdsServerOptions {
  /** Port 0 takes a free one. */
  readonly address: { readonly host: string; readonly port: number };
  /** Without it the server speaks plain text. */
  readonly tls?: TlsOptions;
  readonly directory: ProxyDirectory;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Default: counted where nobody looks. */
  readonly metrics?: Metrics;
  /** What differs from `defaultLimits`. */
  readonly limits?: Partial<XdsLimits>;
  /** Aborting it is the same as `close()`. */
  readonly signal?: AbortSignal;
}

export interface XdsServer {
  readonly port: number;
  /** All open streams whose node is known, oldest first. */
  streams(): StreamStatus[];
  /** What clients make it keep at this moment. */
  usage(): XdsUsage;
  /**
   * Takes no more connections, and ends all streams (UNAVAILABLE, so that clients connect anew, to another replica where there is one): some
   * at a time, so that it is not overrun. Connections that clients do not let go of are cut two seconds later.
   */
  close(): Promise<void>;
}

export interface XdsUsage {
  readonly connections: number;
  readonly streams: number;
  /** Resource names that clients said: subscriptions, and what they brought from earlier streams. */
  readonly names: number;
  /** Bytes of requests that have arrived and are not worked off. */
  readonly inboundBytes: number;
  /** Streams that wait for their turn. */
  readonly waiting: number;
}

/** How long clients may take to let go of their connections when the server closes. */
const CLOSE_MS = 2000;

const SHUTTING_DOWN = 'adsum is shutting down';
/** Streams ended together when the server closes, and the pause before the next: 2,000 a second. */
const ENDED_TOGETHER = 200;
const BETWEEN_ENDS_MS = 100;

/** Streams that HTTP/2 lets a client open on one connection; those above the limit of xDS streams are told why they are ended. */
const SPARE_STREAMS = 28;

function grpcOptions(limits: XdsLimits): grpc.ServerOptions {
  return {
    'grpc.max_concurrent_streams': limits.streamsPerConnection + SPARE_STREAMS,
    // a connection without streams is of no use; Envoy tries again within half a minute
    'grpc.max_connection_idle_ms': 60_000,
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': limits.requestBytes,
    'grpc.enable_channelz': 0,
  };
}

/**
 * Serves xDS over gRPC: ADS and the per-type services, in both variants.
 * @throws ListenError when the port is in use or the address is none of this machine
 */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { address, tls, directory, logger, clock, signal, metrics = createMetrics() } = options;
  const limits = { ...defaultLimits, ...options.limits };
  // grpc-js writes to stderr of its own accord; what matters reaches us as errors and events as well
  const quietly = (...words: unknown[]) => logger.debug({ words }, 'grpc-js');
  grpc.setLogger({ error: quietly, info: quietly, debug: quietly });
  const server = new grpc.Server(grpcOptions(limits));
  const streams = new Map<number, XdsStream>();
  const budgets = new ServerBudgets(limits);
  const log = new StreamLog(logger, clock, () => streams.size);
  const turns = new FairQueue<() => void>({ work: (turn) => turn() });
  const shared = { directory, logger, clock, budgets, limits, log, metrics, encoded: new EncodedResources(), turns };
  const connections = new WeakMap<object, Connection>();
  // nonces must not look like those of this server's former life
  const life = randomBytes(3).toString('hex');
  let opened = 0;
  let closing: Promise<void> | undefined;

  const injector = server.createConnectionInjector(tls ? tlsCredentials(tls) : grpc.ServerCredentials.createInsecure());
  const listener = new XdsListener({
    ...address,
    limits,
    clock,
    accept: (socket) => injector.injectConnection(socket),
    refused: (reason, peer) => {
      metrics.xdsRefused.inc({ reason });
      log.refused({ peer, reason }, 'connection refused');
    },
  });

  function connectionOf(call: Call): Connection | undefined {
    const { session } = http2StreamOf(call);
    if (!session || session.destroyed) return undefined;
    const known = connections.get(session);
    if (known) return known;
    const connection = new Connection(session as ServerHttp2Session, limits, clock);
    connections.set(session, connection);
    return connection;
  }

  function accept(method: XdsMethod, call: Call): void {
    call.on('error', () => {});
    const connection = connectionOf(call);
    if (!connection) return;
    listener.established(call.getPeer());
    const number = ++opened;
    metrics.xdsOpened.inc();
    const refuse = (reason: RefusalReason, code: EndCode, message: string) => stream.refuse(reason, code, message);
    const transport = new GrpcTransport(
      call,
      { connection, inboundBytes: budgets.inboundBytes, limits, clock, slowed: () => metrics.xdsSlowed.inc(), refuse },
      (message) => stream.receive(message),
    );
    const stream: XdsStream = new XdsStream(method, transport, { ...shared, connection, number, noncePrefix: `${life}-${number}-` });
    const close = () => {
      stream.close();
      transport.close();
      streams.delete(number);
      connection.carried.delete(stream);
    };
    // an ended stream counts until its client has let go of it
    const counted = [connection.streams, budgets.streams];
    const exhausted = takeFrom(counted, 1);
    if (!exhausted) http2StreamOf(call).once('close', () => takeFrom(counted, -1));
    streams.set(number, stream);
    connection.carried.add(stream);
    call.on('end', () => {
      close();
      call.end();
    });
    for (const over of ['cancelled', 'close', 'error']) call.on(over, close);
    if (closing) stream.end('UNAVAILABLE', SHUTTING_DOWN);
    else if (exhausted) refuse('streams', 'RESOURCE_EXHAUSTED', `more than ${exhausted.limit} ${exhausted.what}`);
    else if (headerBytes(call.metadata) > limits.headerBytes) refuse('header_bytes', 'RESOURCE_EXHAUSTED', `more than ${limits.headerBytes} bytes of headers`);
  }

  for (const methods of groupByService(XDS_METHODS)) {
    server.addService(
      Object.fromEntries(methods.map((method) => [method.path, definitionOf(method.path)])),
      Object.fromEntries(methods.map((method) => [method.path, (call: Call) => accept(method, call)])),
    );
  }

  const port = await listener.listen();
  const close = () => {
    closing ??= (async () => {
      listener.close();
      // GOAWAY: clients open no more streams on these connections
      const letGo = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const open = [...streams.values()];
      for (let from = 0; from < open.length; from += ENDED_TOGETHER) {
        if (from > 0) await new Promise<void>((resolve) => void clock.after(BETWEEN_ENDS_MS, resolve));
        for (const stream of open.slice(from, from + ENDED_TOGETHER)) stream.end('UNAVAILABLE', SHUTTING_DOWN);
      }
      const cut = new Promise<void>((resolve) => {
        const cancel = clock.after(CLOSE_MS, () => {
          server.forceShutdown();
          resolve();
        });
        void letGo.then(cancel);
      });
      await Promise.race([letGo, cut]);
      log.flush();
    })();
    return closing;
  };
  signal?.addEventListener('abort', () => void close(), { once: true });
  if (signal?.aborted) await close();
  return {
    port,
    streams: () => Array.from(streams.values(), (stream) => stream.status()).filter((status) => status !== undefined),
    usage: () => ({
      connections: listener.connections,
      streams: budgets.streams.used,
      names: budgets.names.used,
      inboundBytes: budgets.inboundBytes.used,
      waiting: turns.size,
    }),
    close,
  };
}

function headerBytes(metadata: grpc.Metadata): number {
  let bytes = 0;
  for (const [key, values] of Object.entries(metadata.toHttp2Headers())) for (const value of [values].flat()) bytes += key.length + String(value).length;
  return bytes;
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
