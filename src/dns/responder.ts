import dnsPacket, { type Question } from 'dns-packet';
import type { Logger } from '../runtime/logger.ts';
import { answer, emptyReply, RCODE, type Reply } from './answer.ts';
import type { Forwarder } from './forwarder.ts';
import { MOST_TCP_BYTES, readQuery, writeReply } from './message.ts';
import type { NameTable } from './name-table.ts';
import type { Transport } from './recursor.ts';
import type { Zone } from './zone.ts';
import { isInZone } from './zone-name.ts';

export interface ResponderOptions {
  readonly names: () => NameTable;
  readonly zone: () => Zone;
  readonly forwarder: Forwarder;
  readonly logger: Logger;
}

/** One message in, one message out; `undefined` when it deserves no answer. Never rejects. */
export type Responder = (message: Buffer, transport: Transport) => Promise<Buffer | undefined>;

export function createResponder({ names, zone, forwarder, logger }: ResponderOptions): Responder {
  return async (message, transport) => {
    const read = readQuery(message);
    if (!read) return undefined;
    if ('error' in read) return read.error;
    const { query } = read;
    const write = (reply: Reply) => writeReply(query, reply, { limit: transport === 'udp' ? query.udpBytes : MOST_TCP_BYTES, recursion: forwarder.enabled });
    try {
      const now = zone();
      if (forwarder.enabled && !isInZone(query.question.name, now.domain)) {
        return (await forwarder.forward(message, transport)) ?? write(emptyReply(RCODE.serverFailure));
      }
      return write(await withAliasTarget(answer(query.question, names(), now), query.question, now.domain, forwarder));
    } catch (error) {
      logger.error({ name: query.question.name, error: (error as Error).message }, 'cannot answer a DNS query');
      return write(emptyReply(RCODE.serverFailure));
    }
  };
}

/** Adds the addresses of a CNAME's target, because the resolvers of most systems do not ask for them on their own. */
async function withAliasTarget(reply: Reply, question: Question, domain: string, forwarder: Forwarder): Promise<Reply> {
  const [alias] = reply.answers;
  if (alias?.type !== 'CNAME' || !forwarder.enabled || isInZone(alias.data, domain)) return reply;
  const query = dnsPacket.encode({ type: 'query', flags: dnsPacket.RECURSION_DESIRED, questions: [{ type: question.type, name: alias.data }] });
  const received = await forwarder.forward(query, 'tcp');
  return received ? { ...reply, answers: [alias, ...(dnsPacket.decode(received).answers ?? [])] } : reply;
}
