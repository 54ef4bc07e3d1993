import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerBudget } from '../../../src/dns/answer-budget.ts';
import { ClientNetworkError, DEFAULT_CLIENT_NETWORKS, parseClientNetworks } from '../../../src/dns/client-networks.ts';
import { Places } from '../../../src/dns/places.ts';

test('places: never more than there are, and who holds none always gets one', () => {
  const step = fc.record({ client: fc.constantFrom('a', 'b', 'c', 'd'), give: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const held = new Map<number, string>();
      const places = new Places<number>({ most: 6, mostPerClient: 3, evict: (holder) => void held.delete(holder) });
      let next = 0;
      for (const { client, give } of steps) {
        const own = [...held].filter(([, one]) => one === client).map(([holder]) => holder);
        if (give && own[0] !== undefined) {
          held.delete(own[0]);
          places.give(client, own[0]);
        } else {
          held.set(next, client);
          places.take(client, next);
          expect(held.has(next)).toBe(true);
          // nobody loses a place to one that holds more
          next++;
        }
        expect(places.taken).toBe(held.size);
        expect(held.size).toBeLessThanOrEqual(6);
        for (const one of 'abcd') expect([...held.values()].filter((holder) => holder === one).length).toBeLessThanOrEqual(3);
      }
    }),
  );
});

test('a client that takes all places loses its oldest to the next, and nobody else does', () => {
  const evicted: string[] = [];
  const places = new Places<string>({ most: 4, mostPerClient: 3, evict: (holder) => void evicted.push(holder) });
  for (const holder of ['x1', 'x2', 'x3']) places.take('x', holder);
  places.take('y', 'y1');
  places.take('z', 'z1');
  places.take('x', 'x4');
  expect(evicted).toEqual(['x1', 'x2']);
  places.give('z', 'z1');
  places.give('z', 'z1');
  places.take('x', 'x5');
  expect(evicted).toEqual(['x1', 'x2']);
  expect(places.taken).toBe(4);
});

test('answers to one network are bounded, those to others are not touched, and what is remembered is bounded too', () => {
  const budget = new AnswerBudget({ atOnce: 1000, perSecond: 100 });
  expect(budget.take('192.0.2.1', 600, 0)).toBe(true);
  // the neighbour shares it: a forger can forge both
  expect(budget.take('192.0.2.77', 600, 0)).toBe(false);
  expect(budget.take('192.0.2.77', 400, 0)).toBe(true);
  expect(budget.take('192.0.3.1', 600, 0)).toBe(true);
  expect(budget.take('192.0.2.1', 200, 1000)).toBe(false);
  expect(budget.take('192.0.2.1', 200, 2000)).toBe(true);
  // a clock that goes back gives nothing
  expect(budget.take('192.0.2.1', 200, 0)).toBe(false);
  expect(budget.take('2001:db8:1:2::1', 1000, 0)).toBe(true);
  expect(budget.take('2001:db8:1:3::1', 1000, 0)).toBe(false);
  expect(budget.take('::ffff:192.0.3.1', 600, 0)).toBe(false);
  for (let i = 0; i < 20_000; i++) budget.take(`10.${i >> 8}.${i & 255}.1`, 1, 0);
  expect(budget.networks).toBe(10_000);
});

test('this host and private networks are clients by default, the internet is not', () => {
  const allows = parseClientNetworks(DEFAULT_CLIENT_NETWORKS);
  for (const client of ['127.0.0.1', '127.9.9.9', '10.1.2.3', '172.31.0.1', '192.168.1.1', '100.64.0.1', '::1', 'fd00::1', 'fe80::1%eth0', '::ffff:10.0.0.1'])
    expect(allows(client), client).toBe(true);
  for (const client of ['8.8.8.8', '172.32.0.1', '192.0.2.1', '2001:db8::1', '::ffff:8.8.8.8', '', 'localhost']) expect(allows(client), client).toBe(false);
  expect(parseClientNetworks(['192.0.2.0/24', '2001:db8::5'])('192.0.2.9')).toBe(true);
  expect(parseClientNetworks(['192.0.2.0/24'])('10.0.0.1')).toBe(false);
  expect(parseClientNetworks(['any'])('8.8.8.8')).toBe(true);
  for (const text of ['', '10', '10.0.0.0/33', 'example.com', '10.0.0.0/x']) expect(() => parseClientNetworks([text]), text).toThrow(ClientNetworkError);
});
