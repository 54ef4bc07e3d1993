import dnsPacket, { type Question } from 'dns-packet';
import type { Logger } from '../runtime/logger.ts';
import { answer, emptyReply, RCODE, type Reply } from './answer.ts';
import type { Forwarder } from './forwarder.ts';
import { cutReply, MOST_TCP_BYTES, readQuery, writeReply } from './message.ts';
import type { NameTable } from './name-table.ts';
import type { Transport } from './recursor.ts';
import type { Zone } from './zone.ts';
import { isInZone } from './zone-name.ts';

export interface ResponderOptions {
  readonly names: () => NameTable;
  readonly zone: () => Zone;
  readonly forwarder: Pick<Forwarder, 'enabled' | 'forward'>;
  /** Whether a client is answered; others are refused. */
  readonly allows: (client: string) => boolean;
  readonly limited: (reason: LimitReason) => void;
  readonly logger: Logger;
}

/** Why a client got less than it asked for; a label of `adsum_dns_limited_total`. */
export type LimitReason = 'network' | 'rate' | 'questions' | 'connections';

/** One message in, one message out; `undefined` when it deserves no answer. Never rejects. */
export type Responder = (message: Buffer, transport: Transport, client: string) => Promise<Buffer | undefined>;

export function createResponder({ names, zone, forwarder, allows, limited, logger }: ResponderOptions): Responder {
  return async (message, transport, client) => {
    const read = readQuery(message);
    if (!read) return undefined;
    if ('error' in read) return read.error;
    const { query } = read;
    const limit = transport === 'udp' ? query.udpBytes : MOST_TCP_BYTES;
    const write = (reply: Reply) => writeReply(query, reply, { limit, recursion: forwarder.enabled });
    try {
      if (!allows(client)) {
        limited('network');
        return write(emptyReply(RCODE.refused));
      }
      const now = zone();
      if (forwarder.enabled && isOfInternet(query.question) && !isInZone(query.question.name, now.domain)) {
        const reply = await forwarder.forward(message, transport, client);
        if (!reply) return write(emptyReply(RCODE.serverFailure));
        return reply.length > limit ? cutReply(reply) : reply;
      }
      const alias = (query: Buffer) => forwarder.forward(query, 'tcp', client);
      return write(await withAliasTarget(answer(query.question, names(), now), query.question, now.domain, forwarder.enabled ? alias : undefined));
    } catch (error) {
      logger.error({ name: query.question.name, error: (error as Error).message }, 'cannot answer a DNS query');
      return write(emptyReply(RCODE.serverFailure));
    }
  };
}

/** Adds the addresses of a CNAME's target, because the resolvers of most systems do not ask for them on their own. */
async function withAliasTarget(
  reply: Reply,
  question: Question,
  domain: string,
  forward: ((query: Buffer) => Promise<Buffer | undefined>) | undefined,
): Promise<Reply> {
  const [alias] = reply.answers;
  if (alias?.type !== 'CNAME' || !forward || isInZone(alias.data, domain)) return reply;
  const query = dnsPacket.encode({ type: 'query', flags: dnsPacket.RECURSION_DESIRED, questions: [{ type: question.type, name: alias.data }] });
  const received = await forward(query);
  return received ? { ...reply, answers: [alias, ...(dnsPacket.decode(received).answers ?? [])] } : reply;
}

/** Other classes are for asking a server about itself (`version.bind`), which is nobody's business. */
function isOfInternet({ class: asked }: Question): boolean {
  return asked === undefined || asked === 'IN';
}
