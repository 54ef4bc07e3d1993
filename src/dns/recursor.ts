import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';

/** Another DNS server that answers what is not of the mesh. */
export interface Recursor {
  readonly address: string;
  /** Default 53. */
  readonly port: number;
}

/** Reads `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`; `undefined` when it is none of these. */
export function parseRecursor(text: string): Recursor | undefined {
  if (isIP(text)) return { address: text, port: 53 };
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? '';
  const port = Number(digits ?? 53);
  if (isIP(address) !== (v6 ? 6 : 4) || port < 1 || port > 65_535) return undefined;
  return { address, port };
}

export type Transport = 'udp' | 'tcp';

/** Asks a recursor the same question under a fresh ID and port, and gives back its reply under the client's ID. Rejects on timeout or refusal. */
export async function askRecursor(query: Buffer, recursor: Recursor, transport: Transport, signal: AbortSignal): Promise<Buffer> {
  const asked = Buffer.from(query);
  asked.writeUInt16BE(randomInt(0x1_0000), 0);
  const reply = await (transport === 'udp' ? askOverUdp : askOverTcp)(asked, recursor, signal);
  query.copy(reply, 0, 0, 2);
  return reply;
}

function askOverUdp(query: Buffer, recursor: Recursor, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(recursor.address) === 6 ? 'udp6' : 'udp4');
    const finish = (act: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners().on('error', () => {});
      socket.close();
      act();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort);
    socket.on('error', (error) => finish(() => reject(error)));
    // Connected, so that the kernel drops what comes from anyone else. A reply that does not fit may be forged: wait on.
    socket.on('message', (reply) => {
      if (isReplyTo(query, reply)) finish(() => resolve(reply));
    });
    socket.connect(recursor.port, recursor.address, () => socket.send(query));
  });
}

function askOverTcp(query: Buffer, recursor: Recursor, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: recursor.address, port: recursor.port, signal });
    let received = Buffer.alloc(0);
    socket.on('connect', () => socket.write(withLength(query)));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const end = received.length < 2 ? Number.POSITIVE_INFINITY : 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      const reply = received.subarray(2, end);
      if (isReplyTo(query, reply)) resolve(reply);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the recursor closed the connection')));
  });
}

/** The two-byte length that TCP puts before every message (RFC 1035, 4.2.2). */
export function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Same ID, and the same question in any case; servers that could not read it send none back. */
function isReplyTo(query: Buffer, reply: Buffer): boolean {
  if (reply.length < 12 || reply.readUInt16BE(0) !== query.readUInt16BE(0) || (reply.readUInt8(2) & 0x80) === 0) return false;
  if (reply.readUInt16BE(4) === 0) return (reply.readUInt8(3) & 0x0f) !== 0;
  return questionText(reply, questionLength(query)) === questionText(query, questionLength(query));
}

function questionText(message: Buffer, length: number): string {
  return message
    .subarray(12, 12 + length)
    .toString('latin1')
    .toLowerCase();
}

function questionLength(message: Buffer): number {
  let offset = 12;
  while (offset < message.length && message[offset] !== 0) offset += 1 + (message[offset] ?? 0);
  return offset + 5 - 12;
}
