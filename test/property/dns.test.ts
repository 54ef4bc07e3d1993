import dnsPacket, { type Answer, type Question } from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Forwarder } from '../../src/dns/forwarder.ts';
import type { NameTable } from '../../src/dns/name-table.ts';
import { createResponder } from '../../src/dns/responder.ts';
import { DEFAULT_ZONE } from '../../src/dns/zone.ts';
import { silentLogger } from '../../src/runtime/logger.ts';

const errors: object[] = [];
const logger = { ...silentLogger, error: (fields: object) => errors.push(fields) };
const instances = Array.from({ length: 40 }, (_, i) => ({ address: `10.0.0.${i}`, port: i, node: 'n', weight: 1, health: 'passing' }) as const);
const names: NameTable = { virtualAddresses: () => ['240.0.0.1', 'fd00::1'], instances: () => instances, proxies: () => instances };
const responder = createResponder({
  names: () => names,
  zone: () => ({ ...DEFAULT_ZONE, datacenter: 'dc1', serial: 1 }),
  forwarder: new Forwarder({ recursors: [], logger: silentLogger }),
  allows: () => true,
  limited: () => {},
  logger,
});

/** A well-formed query, most of them for something in the zone. */
const query = fc
  .record({
    labels: fc.array(fc.constantFrom('api', 'virtual', 'service', 'connect', 'addr', 'dc1', 'dc', 'default', 'ns', '_tcp', '_x', '0a000001', 'A'), {
      maxLength: 6,
    }),
    type: fc.constantFrom('A', 'AAAA', 'SRV', 'ANY', 'SOA', 'NS', 'CNAME', 'TXT', 'UNKNOWN_65'),
    edns: fc.option(fc.integer({ min: 0, max: 65_535 })),
  })
  .map(({ labels, type, edns }) => {
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
    const name = [...labels, 'consul'].join('.');
    return dnsPacket.encode({ type: 'query', id: 7, questions: [{ name, type: type as Question['type'] }], additionals: edns === null ? [] : [opt] });
  });

async function check(message: Buffer): Promise<void> {
  for (const transport of ['udp', 'tcp'] as const) {
    const reply = await responder(message, transport, '127.0.0.1');
    if (!reply) continue;
    const decoded = dnsPacket.decode(reply);
    expect(decoded.flag_qr).toBe(true);
    expect(decoded.id).toBe(message.readUInt16BE(0));
    if (transport === 'udp') expect(reply.length).toBeLessThanOrEqual(1232);
  }
  expect(errors).toEqual([]);
}

test('random bytes never crash the server, and every reply can be read', async () => {
  const bytes = fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array));
  await fc.assert(fc.asyncProperty(bytes, check), { numRuns: 500 });
});

test('nor do queries with some bytes changed or cut off', async () => {
  const changes = fc.array(fc.tuple(fc.nat(120), fc.integer({ min: 0, max: 255 })), { maxLength: 4 });
  const damaged = fc.tuple(query, changes, fc.option(fc.nat(120))).map(([message, edits, cut]) => {
    const copy = Buffer.from(message);
    for (const [at, value] of edits) copy[at % copy.length] = value;
    return copy.subarray(0, cut ?? copy.length);
  });
  await fc.assert(fc.asyncProperty(damaged, check), { numRuns: 500 });
});

test('a whole query gets a reply with the same question, of no more than the size it asked for', async () => {
  await fc.assert(
    fc.asyncProperty(query, async (message) => {
      await check(message);
      const asked = dnsPacket.decode(message);
      const opt = asked.additionals?.find((record) => record.type === 'OPT');
      const reply = await responder(message, 'udp', '127.0.0.1');
      expect(reply?.length).toBeLessThanOrEqual(Math.max(512, opt?.udpPayloadSize ?? 0));
      const decoded = dnsPacket.decode(reply ?? Buffer.alloc(0));
      expect(decoded.questions).toEqual(asked.questions);
      // Nothing cut over TCP, and nothing there that was not there over UDP.
      if (!decoded.flag_tc) expect(decoded.answers).toEqual(dnsPacket.decode((await responder(message, 'tcp', '127.0.0.1')) ?? Buffer.alloc(0)).answers);
    }),
    { numRuns: 500 },
  );
});
