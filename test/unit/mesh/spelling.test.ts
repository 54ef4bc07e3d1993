import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfigEntry } from '../../../src/mesh/schema/parse-config-entry.ts';
import { closestWord } from '../../../src/mesh/schema/spelling.ts';

/** Consul spells keys so in JSON; some words are in capitals there. */
const CAPITALS = ['http', 'tls', 'sni', 'jwt', 'json', 'uri', 'ip', 'ttl', 'ca', 'kb', 'jwks'];

type Respell = (word: string, index: number) => string;
const camel: Respell = (word) => (CAPITALS.includes(word) ? word.toUpperCase() : `${word[0]?.toUpperCase()}${word.slice(1)}`);
const lowerCamel: Respell = (word, index) => (index === 0 ? word : `${word[0]?.toUpperCase()}${word.slice(1)}`);

/** Keys whose values have keys of the user's own. */
const FREE = ['meta', 'config', 'arguments', 'subsets', 'failover', 'add', 'set'];

function respelled(value: unknown, respell: Respell, isFree = false): unknown {
  if (Array.isArray(value)) return value.map((item) => respelled(item, respell));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const name = isFree ? key : key.split('_').map(respell).join('');
      const isOpaque = !isFree && ['meta', 'config', 'arguments', 'add', 'set'].includes(key);
      return [name, isOpaque ? inner : respelled(inner, respell, !isFree && FREE.includes(key))];
    }),
  );
}

const word = fc.stringMatching(/^[a-z][A-Za-z_]{0,8}$/);
const texts = fc.dictionary(word, fc.string({ minLength: 1 }), { maxKeys: 3 });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}[a-z0-9]$/);
const some = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

const entry = fc.oneof(
  fc.record({
    kind: fc.constant('service-defaults'),
    name,
    protocol: some(fc.constantFrom('tcp', 'http')),
    external_sni: some(name),
    max_request_headers_kb: some(fc.nat()),
    mutual_tls_mode: some(fc.constantFrom('strict', 'permissive')),
    meta: some(texts),
    transparent_proxy: some(fc.record({ dialed_directly: fc.boolean(), outbound_listener_port: fc.nat(65535) })),
    upstream_config: some(
      fc.record({
        defaults: fc.record({
          connect_timeout_ms: fc.nat(),
          passive_health_check: fc.record({ enforcing_consecutive_5xx: fc.nat(100), interval: fc.constant('3s') }),
        }),
      }),
    ),
    envoy_extensions: fc.array(fc.record({ name: fc.constant('builtin/lua'), arguments: texts }), { maxLength: 2 }),
  }),
  fc.record({
    kind: fc.constant('mesh'),
    tls: fc.record({ incoming: fc.record({ tls_min_version: fc.constantFrom('TLSv1_2', 'TLSv1_3') }) }),
    http: fc.record({ sanitize_x_forwarded_client_cert: fc.boolean() }),
    allow_enabling_permissive_mutual_tls: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('service-resolver'),
    name,
    subsets: fc.dictionary(name, fc.record({ only_passing: fc.boolean(), filter: fc.constantFrom('', 'Service.Meta.Version == v1') }), { maxKeys: 3 }),
    failover: fc.constant({ '*': { targets: [{ service: 'other', service_subset: 'v1' }] } }),
    connect_timeout: fc.constantFrom('5s', 5_000_000_000),
  }),
);

describe('both spellings', () => {
  test.each([
    ['CamelCase', camel],
    ['camelCase', lowerCamel],
  ])('an entry in %s is the same entry', (_, respell) => {
    fc.assert(
      fc.property(entry, (written) => {
        const clean = JSON.parse(JSON.stringify(written)) as unknown;
        const snake = parseConfigEntry(clean);
        expect(snake.defects).toEqual([]);
        expect(parseConfigEntry(respelled(clean, respell))).toEqual(snake);
      }),
      { numRuns: 100 },
    );
  });

  test("the user's own keys keep their spelling", () => {
    const parsed = parseConfigEntry({
      Kind: 'service-defaults',
      Name: 'api',
      Meta: { MyKey: 'x' },
      EnvoyExtensions: [{ Name: 'builtin/lua', Arguments: { ProxyType: 'connect-proxy', nested: { SomeKey: 1 } } }],
    });
    expect(parsed.value).toMatchObject({
      kind: 'service-defaults',
      meta: { MyKey: 'x' },
      envoy_extensions: [{ arguments: { ProxyType: 'connect-proxy', nested: { SomeKey: 1 } } }],
    });
  });

  test('what Consul prints of an entry can be written again', () => {
    const printed = {
      Kind: 'service-intentions',
      Name: 'api',
      Sources: [{ Name: 'web', Action: 'allow', Precedence: 9, Type: 'consul' }],
      CreateIndex: 7,
      ModifyIndex: 9,
      Hash: 1,
    };
    expect(parseConfigEntry(printed)).toEqual({
      value: { kind: 'service-intentions', name: 'api', sources: [{ name: 'web', action: 'allow', type: 'consul', permissions: [] }] },
      defects: [],
    });
  });
});

test('any input gives an entry or defects, never an exception', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('service-router', 'service-resolver', 'jwt-provider', 'mesh'), (value, kind) => {
      const input = typeof value === 'object' && value !== null && !Array.isArray(value) ? { kind, name: 'x', ...value } : value;
      const parsed = parseConfigEntry(input);
      expect(parsed.value === undefined).toBe(parsed.defects.length > 0);
    }),
  );
});

test('a near word is suggested, a far one is not', () => {
  expect(closestWord('MeshDestinationOnly', ['mesh_destinations_only', 'meta'])).toBe('mesh_destinations_only');
  expect(closestWord('colour', ['mode', 'meta'])).toBeUndefined();
});
