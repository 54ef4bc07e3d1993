import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import dnsPacket, { type DecodedPacket, type Packet } from 'dns-packet';

let nextId = 1;

/** A query as a stub resolver sends it. `edns` is the UDP size it offers; without it, no OPT record. */
export function query(name: string, type: string, edns?: number): Buffer {
  nextId = (nextId % 0xffff) + 1;
  const opt = { type: 'OPT', name: '.', udpPayloadSize: edns ?? 0, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] } as const;
  const packet = {
    type: 'query',
    id: nextId,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name }],
    additionals: edns === undefined ? [] : [opt],
  } as unknown as Packet;
  return dnsPacket.encode(packet);
}

/** A reply with its response code, which the types of dns-packet leave out. */
export type Reply = DecodedPacket & { readonly rcode: string };

/** Sends raw bytes over UDP; rejects when nothing comes within `timeoutMs`. */
export async function exchangeUdp(port: number, message: Buffer, timeoutMs = 120_000): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.send(message);
    const [reply] = await once(socket, 'message', { signal: AbortSignal.timeout(timeoutMs) });
    return reply;
  } finally {
    socket.close();
  }
}

export async function askUdp(port: number, name: string, type: string, edns?: number): Promise<Reply> {
  return dnsPacket.decode(await exchangeUdp(port, query(name, type, edns))) as Reply;
}

/** Sends all bytes over one TCP connection and collects that many replies. */
export async function exchangeTcp(port: number, bytes: Buffer, replies: number): Promise<Buffer[]> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  const found: Buffer[] = [];
  let received = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      found.push(received.subarray(2, end));
      received = received.subarray(end);
    }
    if (found.length >= replies) break;
  }
  socket.destroy();
  return found;
}

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

export async function askTcp(port: number, name: string, type: string): Promise<Reply> {
  const [reply = Buffer.alloc(0)] = await exchangeTcp(port, framed(query(name, type)), 1);
  return dnsPacket.decode(reply) as Reply;
}
