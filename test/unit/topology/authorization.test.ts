import { describe, expect, test } from 'vitest';
import { configEntrySchemas, type EntryOfKind } from '../../../src/mesh/schema/config-entry.ts';
import { looksAtPaths, resolveAuthorization } from '../../../src/topology/authorization.ts';
import { jwksAddress } from '../../../src/topology/authorization-jwt.ts';
import { buildIntentions } from '../../../src/topology/intentions.ts';
import { KEY_SET } from '../../simulation/key-set.ts';

const intentions = (name: string, sources: object[], more: object = {}) =>
  configEntrySchemas['service-intentions'].parse({ kind: 'service-intentions', name, sources, ...more });
const provider = (name: string, more: object = {}): EntryOfKind<'jwt-provider'> =>
  configEntrySchemas['jwt-provider'].parse({
    kind: 'jwt-provider',
    name,
    issuer: `https://${name}.example`,
    json_web_key_set: { local: { jwks: KEY_SET } },
    ...more,
  });
const resolve = (entries: ReturnType<typeof intentions>[], protocol: string, providers: EntryOfKind<'jwt-provider'>[] = []) =>
  resolveAuthorization(buildIntentions(entries, 'deny'), 'api', { protocol, jwtProviders: new Map(providers.map((one) => [one.name, one])) });

describe('an intention index', () => {
  test('tells which intention decides', () => {
    const index = buildIntentions([intentions('api', [{ name: '*', action: 'deny' }]), intentions('*', [{ name: 'web', action: 'allow' }])], 'allow');
    expect(index.decide('web', 'api')).toMatchObject({ allowed: 'deny', by: { destination: 'api', source: '*' } });
    expect(index.decide('web', 'db')).toMatchObject({ allowed: 'allow', by: { destination: '*', source: 'web' } });
    expect(index.decide('db', 'web')).toEqual({ allowed: 'allow' });
  });

  test('lists sources in order of precedence, without those that are hidden', () => {
    const wildcard = intentions('*', [
      { name: '*', action: 'allow' },
      { name: 'web', action: 'deny' },
      { name: 'cron', action: 'deny' },
    ]);
    const own = intentions('api', [
      { name: 'web', action: 'allow' },
      { name: 'db', action: 'deny' },
    ]);
    const sources = buildIntentions([wildcard, own], 'deny')
      .intentionsFor('api')
      .map(({ destination, source, action }) => [destination, source, action]);
    expect(sources).toEqual([
      ['api', 'db', 'deny'],
      ['api', 'web', 'allow'],
      ['*', 'cron', 'deny'],
      ['*', '*', 'allow'],
    ]);
  });

  test('takes no peer for a local service of that name, and a source that says nothing for denied', () => {
    const index = buildIntentions([intentions('api', [{ name: 'web', peer: 'other', action: 'allow' }, { name: 'db' }])], 'allow');
    expect(index.decide('web', 'api')).toEqual({ allowed: 'allow' });
    expect(index.mayCall('db', 'api')).toBe(false);
  });
});

describe('what cannot be enforced denies', () => {
  test('permissions and tokens on a tcp service', () => {
    const entry = intentions(
      'api',
      [
        { name: 'web', permissions: [{ action: 'allow', http: { path_prefix: '/' } }] },
        { name: 'db', action: 'allow' },
      ],
      { jwt: { providers: [{ name: 'idp' }] } },
    );
    const { sources, problems } = resolve([entry], 'tcp', [provider('idp')]);
    expect(sources.map(({ action }) => action)).toEqual(['deny', 'deny']);
    expect(problems.map(({ code }) => code)).toEqual(['intention-needs-http', 'intention-needs-http']);
    expect(resolve([entry], 'http', [provider('idp')])).toMatchObject({ problems: [], sources: [{ action: 'allow' }, { action: 'l7' }] });
  });

  test.each([
    ['missing', []],
    ['without keys', [provider('idp', { json_web_key_set: {} })]],
    ['without a key that could be used', [provider('idp', { json_web_key_set: { local: { jwks: 'eyJrZXlzIjogW119' } } })]],
    ['without an issuer', [provider('idp', { issuer: '' })]],
    ['with keys at no URL', [provider('idp', { json_web_key_set: { remote: { uri: 'idp.example/keys' } } })]],
  ])('a JWT provider %s', (_, providers) => {
    const jwt = { providers: [{ name: 'idp' }] };
    const whole = resolve([intentions('api', [{ name: 'web', action: 'allow' }], { jwt })], 'http', providers);
    expect(whole).toMatchObject({
      sources: [{ name: 'web', action: 'deny' }],
      jwtProviders: [],
      problems: [{ code: 'unknown-jwt-provider', severity: 'error' }],
    });
    const permissions = [
      { action: 'allow', http: { path_prefix: '/read' }, jwt },
      { action: 'allow', http: { path_prefix: '/' } },
    ];
    const one = resolve([intentions('api', [{ name: 'web', permissions }])], 'http', providers);
    expect(one.sources[0]?.permissions.map(({ action }) => action)).toEqual(['deny', 'allow']);
  });

  test('a regular expression that Envoy would refuse, and only its source', () => {
    const entry = intentions('api', [
      { name: 'web', permissions: [{ action: 'deny', http: { path_regex: '/(?!public).*' } }] },
      { name: 'db', permissions: [{ action: 'allow', http: { header: [{ name: 'x', regex: 'a+' }] } }] },
    ]);
    const { sources, problems } = resolve([entry], 'http');
    expect(sources.map(({ name, action }) => [name, action])).toEqual([
      ['db', 'l7'],
      ['web', 'deny'],
    ]);
    expect(problems).toMatchObject([{ code: 'invalid-regex', about: { kind: 'service-intentions', name: 'api' } }]);
  });
});

test('a denying permission asks for no token, for who has none would pass', () => {
  const permissions = [{ action: 'deny', http: { path_prefix: '/' }, jwt: { providers: [{ name: 'idp' }] } }];
  const { sources } = resolve([intentions('api', [{ name: 'web', permissions }])], 'http', [provider('idp')]);
  expect(sources[0]?.permissions).toMatchObject([{ action: 'deny', jwt: [] }]);
});

test('paths matter as soon as one permission looks at them', () => {
  const withHttp = (http: object) => resolve([intentions('api', [{ name: 'web', permissions: [{ action: 'allow', http }] }])], 'http');
  expect(looksAtPaths(withHttp({ path_exact: '/a' }))).toBe(true);
  expect(looksAtPaths(withHttp({ methods: ['GET'] }))).toBe(false);
});

test.each([
  ['https://keys.example/a', { host: 'keys.example', port: 443, tls: true }],
  ['http://keys.example:8081/a', { host: 'keys.example', port: 8081, tls: false }],
  ['https://[fd00::1]/a', { host: 'fd00::1', port: 443, tls: true }],
  ['ftp://keys.example', undefined],
  ['', undefined],
])('keys at %s are fetched from %o', (uri, expected) => {
  expect(jwksAddress(uri)).toEqual(expected);
});
