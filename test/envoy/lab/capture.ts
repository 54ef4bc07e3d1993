import { readFileSync } from 'node:fs';
import { LabProcess } from './process.ts';

/** One direction of one TCP connection, put together from its segments. */
export interface WireStream {
  from: string;
  to: string;
  bytes: Buffer;
}

/** Records what passes the bridge, that is everything that goes from host to host. */
export class Capture extends LabProcess {
  readonly #file: string;

  static async start(bridgeNamespace: string, file: string, filter: string): Promise<Capture> {
    const capture = new Capture(bridgeNamespace, file, filter);
    await capture.waitForOutput('listening on');
    return capture;
  }

  private constructor(bridgeNamespace: string, file: string, filter: string) {
    // -U and --immediate-mode: a packet is in the file as soon as it was seen. -Z root: the file's folder is private.
    super(bridgeNamespace, 0, ['tcpdump', '-i', 'br0', '-s', '0', '-U', '--immediate-mode', '-Z', 'root', '-w', file, filter]);
    this.#file = file;
  }

  /** Ends the recording and returns every TCP stream that carried at least one byte. */
  async finish(): Promise<WireStream[]> {
    await this.stop('SIGINT');
    return tcpStreams(readFileSync(this.#file));
  }
}

/** Whether a stream is TLS from its first byte to its last: a sequence of records of known types. */
export function isTls(stream: WireStream): boolean {
  let at = 0;
  while (at + 5 <= stream.bytes.length) {
    const type = stream.bytes[at] ?? 0;
    if (type < 20 || type > 23 || stream.bytes[at + 1] !== 3) return false;
    at += 5 + stream.bytes.readUInt16BE(at + 3);
  }
  // A recording may end within a record, never between its header's bytes and nothing at all.
  return stream.bytes.length >= 5;
}

function tcpStreams(pcap: Buffer): WireStream[] {
  const segments = new Map<string, { from: string; to: string; parts: { at: number; bytes: Buffer }[] }>();
  for (const frame of frames(pcap)) {
    const segment = tcpSegment(frame);
    if (!segment || segment.bytes.length === 0) continue;
    const key = `${segment.from} ${segment.to}`;
    const stream = segments.get(key) ?? { from: segment.from, to: segment.to, parts: [] };
    stream.parts.push({ at: segment.sequence, bytes: segment.bytes });
    segments.set(key, stream);
  }
  return [...segments.values()].map(({ from, to, parts }) => ({ from, to, bytes: inOrder(parts) }));
}

function* frames(pcap: Buffer): Generator<Buffer> {
  let at = 24;
  while (at + 16 <= pcap.length) {
    const length = pcap.readUInt32LE(at + 8);
    yield pcap.subarray(at + 16, at + 16 + length);
    at += 16 + length;
  }
}

function tcpSegment(frame: Buffer) {
  const isV6 = frame.readUInt16BE(12) === 0x86dd;
  const packet = frame.subarray(14);
  const protocol = packet[isV6 ? 6 : 9];
  if (protocol !== 6) return undefined;
  const start = isV6 ? 40 : ((packet[0] ?? 0) & 15) * 4;
  const end = isV6 ? 40 + packet.readUInt16BE(4) : packet.readUInt16BE(2);
  const [source, destination] = isV6 ? [packet.subarray(8, 24), packet.subarray(24, 40)] : [packet.subarray(12, 16), packet.subarray(16, 20)];
  const tcp = packet.subarray(start, end);
  return {
    from: `${addressText(source)} ${tcp.readUInt16BE(0)}`,
    to: `${addressText(destination)} ${tcp.readUInt16BE(2)}`,
    sequence: tcp.readUInt32BE(4),
    bytes: tcp.subarray(((tcp[12] ?? 0) >> 4) * 4),
  };
}

function addressText(bytes: Buffer): string {
  return bytes.length === 4 ? bytes.join('.') : (bytes.toString('hex').match(/.{4}/g) ?? []).join(':');
}

/** Retransmissions repeat bytes; sequence numbers wrap, so they are taken relative to the first one seen. */
function inOrder(parts: { at: number; bytes: Buffer }[]): Buffer {
  const first = parts[0]?.at ?? 0;
  const relative = (sequence: number) => (sequence - first) | 0;
  const sorted = parts.map((part) => ({ at: relative(part.at), bytes: part.bytes })).sort((a, b) => a.at - b.at);
  const whole: Buffer[] = [];
  let next = sorted[0]?.at ?? 0;
  for (const part of sorted) {
    const fresh = part.bytes.subarray(Math.max(0, next - part.at));
    if (fresh.length === 0) continue;
    whole.push(fresh);
    next = part.at + part.bytes.length;
  }
  return Buffer.concat(whole);
}
