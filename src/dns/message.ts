import dnsPacket, { type Answer, type Question } from 'dns-packet';
import { RCODE, type Reply } from './answer.ts';

const HEADER_BYTES = 12;
const RESPONSE = 1 << 15;
const OPCODE_MASK = 0xf << 11;
/** What every implementation must accept without EDNS. Source: RFC 1035, 2.3.4. */
const PLAIN_UDP_BYTES = 512;
/** What adsum takes and sends over UDP, whatever the client claims to take: fits into the smallest IPv6 packet. Source: DNS flag day 2020. */
const MOST_UDP_BYTES = 1232;
export const MOST_TCP_BYTES = 65_535;
/** Extended response code 16, whose upper bits stand in the OPT record. Source: RFC 6891, 6.1.3. */
const BAD_VERSION = 16;

/** A question that can be answered. */
export interface Query {
  readonly id: number;
  readonly question: Question;
  /** As it arrived, to be echoed byte by byte: upper and lower case, and types nobody here knows. */
  readonly rawQuestion: Buffer;
  readonly recursionDesired: boolean;
  /** How many bytes of answer the client takes over UDP. */
  readonly udpBytes: number;
  /** Present when the client speaks EDNS; then so must the answer. */
  readonly edns?: { readonly version: number; readonly dnssecOk: boolean };
}

/** A query; or the bytes of an error to send back; or `undefined` when it is best not answered at all. */
export type ReadResult = { readonly query: Query } | { readonly error: Buffer } | undefined;

/** Reads what came from the network. Never throws. */
export function readQuery(bytes: Buffer): ReadResult {
  // Answering a response could make two servers talk to each other for ever.
  if (bytes.length < HEADER_BYTES || (bytes.readUInt16BE(2) & RESPONSE) !== 0) return undefined;
  if ((bytes.readUInt16BE(2) & OPCODE_MASK) !== 0) return { error: bareError(bytes, RCODE.notImplemented) };
  try {
    const questionEnd = endOfQuestion(bytes);
    const packet = dnsPacket.decode(bytes);
    const [question] = packet.questions ?? [];
    if (!question || packet.questions?.length !== 1) return { error: bareError(bytes, RCODE.formatError) };
    const opt = packet.additionals?.find((record) => record.type === 'OPT');
    const query: Query = {
      id: bytes.readUInt16BE(0),
      question,
      rawQuestion: bytes.subarray(HEADER_BYTES, questionEnd),
      recursionDesired: packet.flag_rd,
      udpBytes: Math.min(MOST_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, opt?.udpPayloadSize ?? 0)),
      ...(opt ? { edns: { version: opt.ednsVersion, dnssecOk: opt.flag_do } } : {}),
    };
    if (query.edns && query.edns.version > 0)
      return { error: writeReply(query, { ...EMPTY, rcode: BAD_VERSION }, { limit: query.udpBytes, recursion: false }) };
    return { query };
  } catch {
    return { error: bareError(bytes, RCODE.formatError) };
  }
}

const EMPTY: Reply = { rcode: 0, authoritative: false, answers: [], authorities: [], additionals: [] };

/**
 * Packs a reply into at most `limit` bytes. Additional records are left out first, silently; when answers must be left out
 * too, the TC bit tells the client to come back over TCP.
 */
export function writeReply(query: Query, reply: Reply, options: { limit: number; recursion: boolean }): Buffer {
  const opt: Answer[] = query.edns ? [optRecord(reply.rcode, query.edns.dnssecOk)] : [];
  let room = options.limit - HEADER_BYTES - query.rawQuestion.length - lengthOf(opt);
  const fitting = (records: readonly Answer[]): Answer[] => {
    const taken = records.slice(0, countFitting(records, room));
    room -= lengthOf(taken);
    return taken;
  };
  const answers = fitting(reply.answers);
  const truncated = answers.length < reply.answers.length;
  const authorities = truncated ? [] : fitting(reply.authorities);
  const additionals = truncated ? [] : fitting(reply.additionals);
  const flags =
    (reply.authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : 0) |
    (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0) |
    (query.recursionDesired ? dnsPacket.RECURSION_DESIRED : 0) |
    (options.recursion ? dnsPacket.RECURSION_AVAILABLE : 0) |
    (reply.rcode & 0xf);
  const body = dnsPacket.encode({ type: 'response', id: query.id, flags, questions: [], answers, authorities, additionals: [...additionals, ...opt] });
  body.writeUInt16BE(1, 4);
  // The records hold no compression pointers, so the question can be put before them.
  return Buffer.concat([body.subarray(0, HEADER_BYTES), query.rawQuestion, body.subarray(HEADER_BYTES)]);
}

/** The header and question of a reply, marked as cut: the client asks again over TCP. Never larger than the query was, and never throws. */
export function cutReply(reply: Buffer): Buffer {
  if (reply.length < HEADER_BYTES) return reply;
  let end = HEADER_BYTES;
  try {
    if (reply.readUInt16BE(4) === 1) end = endOfQuestion(reply);
  } catch {
    // another server wrote a question that is none; the header alone says enough
  }
  const cut = Buffer.from(reply.subarray(0, end));
  cut.writeUInt16BE(cut.readUInt16BE(2) | dnsPacket.TRUNCATED_RESPONSE, 2);
  cut.writeUInt16BE(end > HEADER_BYTES ? 1 : 0, 4);
  cut.fill(0, 6, HEADER_BYTES);
  return cut;
}

/** A header alone: for messages that could not be read. */
function bareError(bytes: Buffer, rcode: number): Buffer {
  const error = Buffer.alloc(HEADER_BYTES);
  error.writeUInt16BE(bytes.readUInt16BE(0), 0);
  error.writeUInt16BE(RESPONSE | (bytes.readUInt16BE(2) & (OPCODE_MASK | dnsPacket.RECURSION_DESIRED)) | rcode, 2);
  return error;
}

/** Where the only question ends; throws on a compressed or cut one. */
function endOfQuestion(bytes: Buffer): number {
  let offset = HEADER_BYTES;
  for (;;) {
    const length = bytes.readUInt8(offset);
    if (length > 63) throw new Error('a question must not be compressed');
    offset += 1 + length;
    if (length === 0) break;
  }
  if (offset + 4 > bytes.length) throw new Error('the question is cut off');
  return offset + 4;
}

function optRecord(rcode: number, dnssecOk: boolean): Answer {
  const flags = dnssecOk ? dnsPacket.DNSSEC_OK : 0;
  return { type: 'OPT', name: '.', udpPayloadSize: MOST_UDP_BYTES, extendedRcode: rcode >> 4, ednsVersion: 0, flags, flag_do: dnssecOk, options: [] };
}

function countFitting(records: readonly Answer[], room: number): number {
  let used = 0;
  let count = 0;
  for (const record of records) {
    used += lengthOf([record]);
    if (used > room) break;
    count += 1;
  }
  return count;
}

function lengthOf(records: readonly Answer[]): number {
  return dnsPacket.encodingLength({ answers: [...records] }) - HEADER_BYTES;
}
