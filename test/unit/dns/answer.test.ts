import type { Answer, Question } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { answer, RCODE } from '../../../src/dns/answer.ts';
import type { NamedInstance, NameTable } from '../../../src/dns/name-table.ts';
import type { Zone } from '../../../src/dns/zone.ts';

const zone: Zone = { domain: 'consul', datacenter: 'DC1', virtualTtlS: 5, serviceTtlS: 0, serial: 42, nameServerAddresses: ['127.0.0.1'] };

function instance(address: string, more: Partial<NamedInstance> = {}): NamedInstance {
  return { address, port: 8080, node: 'n', weight: 1, health: 'passing', ...more };
}

const instances: Record<string, readonly NamedInstance[]> = {
  api: [
    instance('10.0.0.1', { tags: ['V1', 'blue.green'], weight: 10 }),
    instance('10.0.0.2', { tags: ['v2'], health: 'warning' }),
    instance('10.0.0.3', { health: 'critical' }),
    instance('fd00::4'),
  ],
  shared: [instance('10.0.0.1'), instance('10.0.0.1', { port: 8081 })],
  sick: [instance('10.0.0.1', { health: 'critical' })],
  away: [instance('db.example.com', { weight: 70_000 }), instance('not a host name')],
  service: [instance('10.0.0.9')],
};
const names: NameTable = {
  virtualAddresses: (service) => (service === 'api' ? ['240.0.0.1', 'fd01::1', '172.30.0.1'] : service === 'none' ? [] : undefined),
  instances: (service) => instances[service],
  proxies: (service) => (service === 'api' ? [instance('10.0.0.1', { port: 21000 })] : undefined),
};

function ask(
  name: string,
  type: string,
): { rcode: number; data: unknown[]; answers: readonly Answer[]; authorities: readonly Answer[]; additionals: readonly Answer[] } {
  const { rcode, answers, authorities, additionals } = answer({ name, type: type as Question['type'] }, names, zone);
  return { rcode, answers, authorities, additionals, data: answers.map((record) => ('data' in record ? record.data : undefined)) };
}

describe('virtual IPs', () => {
  test('A and AAAA, with a TTL, because they never move', () => {
    expect(ask('api.virtual.consul', 'A').answers).toEqual([
      { type: 'A', name: 'api.virtual.consul', ttl: 5, data: '240.0.0.1' },
      { type: 'A', name: 'api.virtual.consul', ttl: 5, data: '172.30.0.1' },
    ]);
    expect(ask('api.virtual.consul', 'AAAA').data).toEqual(['fd01::1']);
    expect(ask('api.virtual.consul', 'ANY').data).toHaveLength(1);
  });

  test.each([
    'api.virtual.consul.',
    'API.VIRTUAL.Consul',
    'api.virtual.dc1.consul',
    'api.virtual.DC1.dc.consul',
    'api.virtual.default.ns.default.ap.dc1.dc.consul',
  ])('%s', (name) => {
    expect(ask(name, 'A')).toMatchObject({ rcode: RCODE.noError, data: ['240.0.0.1', '172.30.0.1'], answers: [{ name }, { name }] });
  });

  test('a known name without such records is NOERROR and empty, with the SOA', () => {
    const soa = { type: 'SOA', name: 'consul', ttl: 0, data: { mname: 'ns.consul', rname: 'hostmaster.consul', serial: 42, minimum: 0 } };
    for (const [name, type] of [
      ['api.virtual.consul', 'SRV'],
      ['api.virtual.consul', 'TXT'],
      ['none.virtual.consul', 'A'],
    ] as const) {
      expect(ask(name, type)).toMatchObject({ rcode: RCODE.noError, answers: [], authorities: [soa] });
    }
  });
});

describe('services', () => {
  test('A and AAAA of instances that are not critical, each address once', () => {
    expect(ask('api.service.consul', 'A').data).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(ask('api.service.consul', 'AAAA').data).toEqual(['fd00::4']);
    expect(ask('shared.service.consul', 'A').data).toEqual(['10.0.0.1']);
    expect(ask('api.service.consul', 'A').answers[0]).toMatchObject({ ttl: 0 });
  });

  test('a service without a healthy instance exists all the same', () => {
    expect(ask('sick.service.consul', 'A')).toMatchObject({ rcode: RCODE.noError, answers: [], authorities: [{ type: 'SOA' }] });
  });

  test('SRV points at names that carry the address, and brings the address along', () => {
    const { answers, additionals } = ask('api.service.consul', 'SRV');
    const v6 = 'fd000000000000000000000000000004.addr.dc1.consul';
    expect(answers.map((record) => ('data' in record ? record.data : undefined))).toEqual([
      { priority: 1, weight: 10, port: 8080, target: '0a000001.addr.dc1.consul' },
      { priority: 1, weight: 1, port: 8080, target: '0a000002.addr.dc1.consul' },
      { priority: 1, weight: 1, port: 8080, target: v6 },
    ]);
    expect(additionals).toMatchObject([
      { type: 'A', data: '10.0.0.1' },
      { type: 'A', data: '10.0.0.2' },
      { type: 'AAAA', name: v6, data: 'fd00::4' },
    ]);
    expect(ask(v6, 'AAAA').data).toEqual(['fd00::4']);
    expect(ask('0A000002.addr.consul', 'A').data).toEqual(['10.0.0.2']);
    expect(ask('0a000002.addr.dc1.consul', 'AAAA')).toMatchObject({ rcode: RCODE.noError, answers: [] });
  });

  test('two ports on one address are two SRV records and one address', () => {
    expect(ask('shared.service.consul', 'SRV')).toMatchObject({ data: [{ port: 8080 }, { port: 8081 }], additionals: { length: 1 } });
  });

  test.each([
    ['v1.api.service.consul', ['10.0.0.1']],
    ['V2.api.service.dc1.consul', ['10.0.0.2']],
    ['blue.green.api.service.consul', ['10.0.0.1']],
    ['_api._tcp.service.consul', ['10.0.0.1', '10.0.0.2']],
    ['_api._v2.service.consul', ['10.0.0.2']],
    ['service.service.consul', ['10.0.0.9']],
  ])('%s', (name, expected) => {
    expect(ask(name, 'A').data).toEqual(expected);
  });

  test('an instance at a host name is a CNAME, or the target itself', () => {
    expect(ask('away.service.consul', 'A').answers).toMatchObject([{ type: 'CNAME', data: 'db.example.com' }]);
    expect(ask('away.service.consul', 'SRV')).toMatchObject({ data: [{ target: 'db.example.com', weight: 65_535 }], additionals: [] });
    expect(ask('away.service.consul', 'TXT').answers).toEqual([]);
  });

  test('instances come in random order where a source of chance is given', () => {
    const shuffle = (random: () => number) => answer({ name: 'api.service.consul', type: 'A' }, names, { ...zone, random }).answers;
    expect(shuffle(() => 0)).toMatchObject([{ data: '10.0.0.2' }, { data: '10.0.0.1' }]);
    expect(shuffle(() => 0.99)).toMatchObject([{ data: '10.0.0.1' }, { data: '10.0.0.2' }]);
  });
});

test('proxies', () => {
  expect(ask('api.connect.consul', 'SRV')).toMatchObject({ data: [{ port: 21000, target: '0a000001.addr.dc1.consul' }] });
  expect(ask('api.connect.consul', 'A').data).toEqual(['10.0.0.1']);
});

test.each([
  'nope.virtual.consul',
  'nope.service.consul',
  'nope.connect.consul',
  'v9.api.service.consul',
  'api.service.dc2.consul',
  'api.virtual.dc2.dc.consul',
  'api.virtual.other.ns.consul',
  'x.api.virtual.consul',
  'api.ingress.consul',
  'nope.consul',
  '0a00000.addr.dc1.consul',
  'zz000001.addr.dc1.consul',
])('%s is NXDOMAIN with the SOA', (name) => {
  expect(ask(name, 'A')).toMatchObject({ rcode: RCODE.nameError, answers: [], authorities: [{ type: 'SOA' }] });
});

test.each(['service.consul', 'virtual.dc1.consul', 'dc1.consul', 'addr.dc1.consul', '_tcp.service.consul'])(
  '%s exists, for there are names below it',
  (name) => {
    expect(ask(name, 'A')).toMatchObject({ rcode: RCODE.noError, answers: [], authorities: [{ type: 'SOA' }] });
  },
);

test('the zone itself', () => {
  expect(ask('consul', 'SOA')).toMatchObject({ answers: [{ type: 'SOA', name: 'consul' }], authorities: [] });
  expect(ask('consul', 'NS')).toMatchObject({ data: ['ns.consul'], additionals: [{ type: 'A', name: 'ns.consul', data: '127.0.0.1' }] });
  expect(ask('consul', 'A')).toMatchObject({ rcode: RCODE.noError, answers: [], authorities: [{ type: 'SOA' }] });
  expect(ask('ns.consul', 'A').data).toEqual(['127.0.0.1']);
});

test('refused: other domains, other classes, zone transfers', () => {
  expect(ask('example.com', 'A').rcode).toBe(RCODE.refused);
  expect(ask('notconsul', 'A').rcode).toBe(RCODE.refused);
  expect(ask('consul', 'AXFR').rcode).toBe(RCODE.refused);
  expect(answer({ name: 'api.virtual.consul', type: 'A', class: 'CH' }, names, zone).rcode).toBe(RCODE.refused);
});
