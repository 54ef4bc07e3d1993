import dnsPacket, { type Answer, type Question } from 'dns-packet';
import fc from 'fast-check';
import { cutReply } from '../../src/dns/message.ts';
import type { NameTable } from '../../src/dns/name-table.ts';
import { createResponder } from '../../src/dns/responder.ts';
import { DEFAULT_ZONE } from '../../src/dns/zone.ts';
import { silentLogger } from '../../src/runtime/logger.ts';

// Hostile clients, and hostile recursors, against everything between a DNS message and its answer.

const instances = Array.from({ length: 30 }, (_, i) => ({
  address: ['10.0.0.1', 'fd00::1', 'db.example.com', 'x'.repeat(300), '', '\0', 'é'][i % 7] ?? '',
  port: i * 3000,
  node: 'n',
  weight: i - 3,
  health: i % 5 === 0 ? ('critical' as const) : ('passing' as const),
  tags: ['v1', 'É'],
}));
const names: NameTable = {
  virtualAddresses: (service) => (service === 'nope' ? undefined : ['240.0.0.1', 'fd00::1', 'no address']),
  instances: (service) => (service === 'nope' ? undefined : service === 'alias' ? instances.filter(({ address }) => address.includes('.com')) : instances),
  proxies: () => instances,
};

const label = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom('api', 'API', 'nope', 'alias', 'virtual', 'service', 'connect', 'addr', 'dc1', 'dc', 'default', 'ns', '_tcp', '0a000001'),
  },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 10 }).map((text) => text.replaceAll('.', '-')) },
);
const question = fc.record({
  labels: fc.array(label, { maxLength: 6 }),
  zone: fc.constantFrom('consul', 'CONSUL', 'example.com', ''),
  type: fc.constantFrom('A', 'AAAA', 'SRV', 'ANY', 'SOA', 'NS', 'CNAME', 'TXT', 'AXFR', 'PTR', 'UNKNOWN_65'),
  edns: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
});
const edits = fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 4 });
const hostile = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 12, maxLength: 40 }));

export const dnsExchange = fc.record({
  message: fc.oneof(
    { weight: 6, arbitrary: fc.record({ question, edits, cut: fc.option(fc.nat(80), { freq: 3, nil: undefined }) }) },
    { weight: 1, arbitrary: fc.record({ bytes: fc.uint8Array({ maxLength: 120 }) }) },
  ),
  transport: fc.constantFrom('udp' as const, 'tcp' as const),
  /** What a recursor says: nothing, bytes of its own, or the query itself with some more behind it. */
  recursor: fc.oneof(fc.constant('off' as const), fc.constant('silent' as const), hostile, fc.nat(3000)),
  client: fc.constantFrom('10.0.0.1', '8.8.8.8'),
});

function queryOf(message: typeof dnsExchange extends fc.Arbitrary<{ message: infer Message }> ? Message : never): Buffer {
  if ('bytes' in message) return Buffer.from(message.bytes);
  const { labels, zone, type, edns } = message.question;
  const opt = {
    type: 'OPT' as const,
    name: '.',
    udpPayloadSize: edns ?? 0,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  } satisfies Answer;
  const questions = [{ name: [...labels, zone].filter(Boolean).join('.'), type: type as Question['type'] }];
  const bytes = dnsPacket.encode({ type: 'query', id: 7, flags: dnsPacket.RECURSION_DESIRED, questions, additionals: edns === undefined ? [] : [opt] });
  for (const [at, value] of message.edits) bytes[at % bytes.length] = value;
  return bytes.subarray(0, message.cut ?? bytes.length);
}

export async function runDnsExchange({
  message,
  transport,
  recursor,
  client,
}: typeof dnsExchange extends fc.Arbitrary<infer One> ? One : never): Promise<void> {
  const failed: object[] = [];
  const query = queryOf(message);
  const reply = await createResponder({
    names: () => names,
    zone: () => ({ ...DEFAULT_ZONE, datacenter: 'dc1', serial: 1, random: () => 0.5 }),
    forwarder: {
      enabled: recursor !== 'off',
      forward: async (asked) => {
        if (typeof recursor === 'string') return undefined;
        return typeof recursor === 'number' ? Buffer.concat([asked, Buffer.alloc(recursor)]) : Buffer.from(recursor);
      },
    },
    allows: (one) => one.startsWith('10.'),
    limited: () => {},
    // an answer that a recursor made unreadable is told, and becomes SERVFAIL; nothing of adsum's own may fail
    logger: { ...silentLogger, error: (fields) => void failed.push(fields) },
  })(query, transport, client);
  if (failed.length > 0 && (typeof recursor === 'string' || !JSON.stringify(failed).includes('error'))) throw new Error(JSON.stringify(failed));
  if (!reply) return;
  const cut = cutReply(reply);
  if (cut.length > Math.max(reply.length, query.length)) throw new Error('a cut reply is larger than what it was cut from');
  if (typeof recursor !== 'string') return;
  if (transport === 'udp' && reply.length > 1232) throw new Error(`${reply.length} bytes over UDP`);
  if (reply.readUInt16BE(0) !== query.readUInt16BE(0)) throw new Error('another ID');
  if (!dnsPacket.decode(reply).flag_qr) throw new Error('no response');
  if (client === '8.8.8.8' && reply.length > Math.max(query.length, 12)) throw new Error('a stranger gets more than it sent');
}
