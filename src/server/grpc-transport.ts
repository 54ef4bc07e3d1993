import { X509Certificate } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import type { Clock } from '../runtime/clock.ts';
import { type Budget, takeFrom } from './budget.ts';
import type { Connection } from './connection.ts';
import type { RefusalReason, XdsLimits } from './limits.ts';
import type { EndCode } from './proxy-directory.ts';
import type { StreamTransport } from './xds-stream.ts';

export type Call = grpc.ServerDuplexStream<Buffer, Buffer>;

export interface TransportContext {
  readonly connection: Connection;
  /** Bytes of all clients that have arrived and are not worked off. */
  readonly inboundBytes: Budget;
  readonly limits: XdsLimits;
  readonly clock: Clock;
  /** The client asks too often and is read from more slowly. */
  readonly slowed: () => void;
  /** Ends the stream: the client went beyond a limit. */
  readonly refuse: (reason: RefusalReason, code: EndCode, message: string) => void;
}

/** The length and the compression flag before each message. Source: gRPC over HTTP/2, Length-Prefixed-Message. */
const PREFIX_BYTES = 5;
/** Whole requests that may wait for their turn; then the client is not read from until they are worked off. */
const MOST_WAITING = 4;
/** How long a client may take to end its side of a stream that adsum has ended. */
const RESET_AFTER_MS = 5000;

/**
 * The HTTP/2 stream under a call. grpc-js keeps it to itself, but shows whole messages only; a client that sends all but the last byte
 * of many large requests must be seen before that. A test notices when another grpc-js keeps it elsewhere.
 */
export function http2StreamOf(call: Call): ServerHttp2Stream {
  const { stream } = (call as unknown as { call: { stream: ServerHttp2Stream } }).call;
  return stream;
}

/** One gRPC call as the transport of a stream: it counts what arrives before it is a message, and reads no faster than the stream works. */
export class GrpcTransport implements StreamTransport {
  readonly peer: string;
  readonly proof: StreamTransport['proof'];
  readonly #call: Call;
  readonly #context: TransportContext;
  readonly #budgets: readonly Budget[];
  /** Bytes that have arrived and are not worked off. */
  #held = 0;
  #waiting = 0;
  #paused = false;
  #cancelWait: (() => void) | undefined;
  #over = false;

  /** @param receive takes each request; `done` is to be called when it is worked off */
  constructor(call: Call, context: TransportContext, receive: (message: Buffer) => void) {
    this.#call = call;
    this.#context = context;
    this.#budgets = [context.connection.inboundBytes, context.inboundBytes];
    this.peer = call.getPeer();
    this.proof = proofOf(call);
    const stream = http2StreamOf(call);
    const meter = new FrameMeter(context.limits.requestBytes);
    stream.on('data', (chunk: Buffer) => this.#meter(meter, chunk));
    call.on('data', (message: Buffer) => {
      this.#waiting++;
      const wait = context.connection.pace.take(1 + message.length / 1024, context.clock.now());
      if (wait > 0) {
        context.slowed();
        this.#waitFor(wait);
      } else if (this.#waiting >= MOST_WAITING) this.#pause();
      receive(message);
    });
  }

  done(message: Buffer): void {
    this.#waiting--;
    this.#giveBack(message.length + PREFIX_BYTES);
    if (this.#waiting === 0 && this.#paused && !this.#cancelWait) this.#resume();
  }

  write(message: Buffer, flushed: () => void): void {
    this.#call.write(message, flushed);
  }

  end(code: EndCode, details: string): void {
    if (code === 'OK') this.#call.end();
    else this.#call.emit('error', { code: grpc.status[code], details, metadata: readableMessage(details) });
    const stream = http2StreamOf(this.#call);
    const cancel = this.#context.clock.after(RESET_AFTER_MS, () => stream.close());
    stream.once('close', cancel);
    this.close();
  }

  /** Nothing of this stream is to be counted any more. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelWait?.();
    this.#giveBack(this.#held);
  }

  #meter(meter: FrameMeter, chunk: Buffer): void {
    if (this.#over) return;
    const { refuse, limits } = this.#context;
    const finding = meter.push(chunk);
    if (finding === 'compressed') refuse('compressed', 'UNIMPLEMENTED', 'compressed requests are not taken');
    if (finding === 'too-large') refuse('request_bytes', 'RESOURCE_EXHAUSTED', `the request has more than ${limits.requestBytes} bytes`);
    if (finding) return;
    const exhausted = takeFrom(this.#budgets, chunk.length);
    if (exhausted) refuse('inbound_bytes', 'RESOURCE_EXHAUSTED', `more than ${exhausted.limit} ${exhausted.what} at once`);
    else this.#held += chunk.length;
  }

  #giveBack(bytes: number): void {
    const held = Math.min(bytes, this.#held);
    this.#held -= held;
    takeFrom(this.#budgets, -held);
  }

  #waitFor(ms: number): void {
    this.#pause();
    this.#cancelWait ??= this.#context.clock.after(ms, () => {
      this.#cancelWait = undefined;
      if (this.#waiting < MOST_WAITING) this.#resume();
    });
  }

  #pause(): void {
    this.#paused = true;
    this.#call.pause();
  }

  #resume(): void {
    this.#paused = false;
    this.#call.resume();
  }
}

/** Reads the prefixes of messages, so that one that is too large is refused before it is there. */
class FrameMeter {
  readonly #most: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  #messageBytes = 0;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  push(chunk: Buffer): 'compressed' | 'too-large' | undefined {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#messageBytes, chunk.length - at);
      this.#messageBytes -= skipped;
      at += skipped;
      if (at === chunk.length) break;
      const copied = chunk.copy(this.#prefix, this.#prefixBytes, at, at + PREFIX_BYTES - this.#prefixBytes);
      this.#prefixBytes += copied;
      at += copied;
      if (this.#prefixBytes < PREFIX_BYTES) break;
      this.#prefixBytes = 0;
      this.#messageBytes = this.#prefix.readUInt32BE(1);
      if (this.#prefix[0] !== 0) return 'compressed';
      if (this.#messageBytes > this.#most) return 'too-large';
    }
    return undefined;
  }
}

/** The first of several tokens counts; a certificate only where TLS has found that it is signed by one of the client CAs. */
function proofOf(call: Call): StreamTransport['proof'] {
  const [own] = call.metadata.get('x-consul-token');
  const [authorization] = call.metadata.get('authorization');
  const token = own?.toString() ?? /^Bearer +(\S+)$/i.exec(authorization?.toString() ?? '')?.[1];
  const certificate = call.getAuthContext().sslPeerCertificate;
  return { ...(token !== undefined && { token }), ...(certificate && { certificate: new X509Certificate(certificate.raw) }) };
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
