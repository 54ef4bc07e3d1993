import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callerSanMatchers } from '../../src/envoy/caller-sans.ts';
import { buildHttpRbac, buildNetworkRbac } from '../../src/envoy/rbac.ts';
import type { EntryOfKind } from '../../src/mesh/schema/config-entry.ts';
import { configEntrySchemas } from '../../src/mesh/schema/config-entry.ts';
import type { envoy_config_rbac_v3_RBAC as Rbac } from '../../src/proto/generated/types.ts';
import { resolveAuthorization } from '../../src/topology/authorization.ts';
import { buildIntentions } from '../../src/topology/intentions.ts';
import { KEY_SET } from '../simulation/key-set.ts';
import { actionOf, deciding, intentionsAllow } from './intentions-oracle.ts';
import { type Request, rbacAllows, textMatches } from './rbac-evaluator.ts';

type Entry = EntryOfKind<'service-intentions'>;

const TRUST_DOMAIN = 'mesh.test';
const NAMES = ['a', 'ab', 'b', 'b-a', 'b.a'];

const policy = fc.constantFrom('allow' as const, 'deny' as const);
const serviceOrAny = fc.constantFrom(...NAMES, '*');

/** Few providers, so that several rules ask for the same; `nobody` does not exist. */
const PROVIDERS = new Map(
  ['idp', 'other'].map((name) => [
    name,
    configEntrySchemas['jwt-provider'].parse({ kind: 'jwt-provider', name, issuer: `https://${name}`, json_web_key_set: { local: { jwks: KEY_SET } } }),
  ]),
);
const jwt = fc.record({
  providers: fc.array(
    fc.record({
      name: fc.constantFrom('idp', 'other', 'nobody'),
      verify_claims: fc.array(fc.constantFrom({ path: ['role'], value: 'admin' }, { path: ['a', 'b'], value: '1' }), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});
const sometimesJwt = fc.option(jwt, { freq: 3, nil: undefined });

const headerMatch = fc.oneof(
  ...(['exact', 'prefix', 'suffix', 'contains', 'regex'] as const).map((how) =>
    fc.record({ name: fc.constantFrom('x-one', 'X-Two'), [how]: fc.constantFrom('v', 'V', 'vw'), invert: fc.boolean(), ignore_case: fc.boolean() }),
  ),
  fc.record({ name: fc.constantFrom('x-one', 'X-Two'), present: fc.constant(true), invert: fc.boolean() }),
);
const path = fc.oneof(
  fc.constant({}),
  fc.record({ path_exact: fc.constantFrom('/', '/p', '/p/q') }),
  fc.record({ path_prefix: fc.constantFrom('/', '/p', '/p/') }),
  fc.record({ path_regex: fc.constantFrom('/p.*', '/[pq]', '/p(/q)?') }),
);
const permission = fc.record({
  action: policy,
  http: fc.option(
    fc
      .tuple(path, fc.array(headerMatch, { maxLength: 2 }), fc.subarray(['GET', 'POST', 'PUT']))
      .map(([match, header, methods]) => ({ ...match, header, methods })),
    { freq: 9, nil: undefined },
  ),
  jwt: sometimesJwt,
});
const source = fc.oneof(
  fc.record({ name: serviceOrAny, action: policy }),
  fc.record({ name: serviceOrAny, permissions: fc.array(permission, { minLength: 1, maxLength: 4 }) }),
);
const entries = fc
  .uniqueArray(
    fc.record({
      name: serviceOrAny,
      sources: fc.uniqueArray(source, { selector: ({ name }) => name, maxLength: 4 }),
      jwt: fc.option(jwt, { freq: 4, nil: undefined }),
    }),
    { selector: ({ name }) => name, maxLength: 4 },
  )
  .map((list) => list.map((entry): Entry => configEntrySchemas['service-intentions'].parse({ kind: 'service-intentions', ...entry })));

const request: fc.Arbitrary<Omit<Request, 'identity'>> = fc.record({
  path: fc.constantFrom('/', '/p', '/p/', '/p/q', '/q', '/px'),
  method: fc.constantFrom('GET', 'POST', 'DELETE'),
  headers: fc.dictionary(fc.constantFrom('x-one', 'x-two'), fc.constantFrom('v', 'V', 'vw', 'WV', ''), { maxKeys: 2 }),
  tokens: fc
    .dictionary(
      fc.constantFrom('idp', 'other'),
      fc.record({ role: fc.constantFrom('admin', 'guest'), a: fc.constantFrom({ b: '1' }, { b: '2' }, 'text') }, { requiredKeys: [] }),
      { maxKeys: 2 },
    )
    .map((tokens) => Object.fromEntries(Object.entries(tokens).map(([name, claims]) => [`jwt_payload_${name}`, { iss: `https://${name}`, ...claims }]))),
});

describe('precedence of intentions', () => {
  test('equals the highest of the matching ones', () => {
    fc.assert(
      fc.property(entries, policy, serviceOrAny, serviceOrAny, (list, defaultPolicy, caller, destination) => {
        const decided = deciding(list, caller, destination);
        expect(buildIntentions(list, defaultPolicy).decide(caller, destination).allowed).toBe(decided ? actionOf(decided.source) : defaultPolicy);
      }),
    );
  });

  test('destinations of a caller are the candidates it may call', () => {
    fc.assert(
      fc.property(entries, policy, serviceOrAny, fc.uniqueArray(fc.constantFrom(...NAMES)), (list, defaultPolicy, caller, candidates) => {
        const index = buildIntentions(list, defaultPolicy);
        const expected = candidates.filter((candidate) => index.mayCall(caller, candidate));
        expect(index.destinationsOf(caller, { has: (name) => candidates.includes(name), all: () => candidates }).sort()).toEqual(expected.sort());
      }),
    );
  });

  test('the intentions of a destination decide as all of them do', () => {
    fc.assert(
      fc.property(entries, policy, fc.constantFrom(...NAMES), fc.constantFrom(...NAMES), (list, defaultPolicy, caller, destination) => {
        const index = buildIntentions(list, defaultPolicy);
        const applying = index.intentionsFor(destination);
        const found = applying.find((intention) => intention.source === caller) ?? applying.find((intention) => intention.source === '*');
        expect(found?.action ?? defaultPolicy).toBe(index.decide(caller, destination).allowed);
      }),
    );
  });
});

describe('RBAC', () => {
  test('of an HTTP service decides every request as the intentions say', () => {
    fc.assert(
      fc.property(
        entries,
        policy,
        fc.constantFrom(...NAMES, 'stranger'),
        fc.constantFrom(...NAMES),
        request,
        (list, defaultPolicy, caller, destination, rest) => {
          const authorization = resolveAuthorization(buildIntentions(list, defaultPolicy), destination, { protocol: 'http', jwtProviders: PROVIDERS });
          const rules = rulesOf(buildHttpRbac(authorization, TRUST_DOMAIN).typed_config);
          const sent = { ...rest, identity: identityOf(caller) };
          expect(rbacAllows(rules, sent)).toBe(intentionsAllow({ entries: list, defaultPolicy, providers: PROVIDERS }, caller, destination, sent));
        },
      ),
      { numRuns: 600 },
    );
  });

  test('of a TCP service and the identities let through the handshake agree', () => {
    fc.assert(
      fc.property(entries, policy, fc.constantFrom(...NAMES, 'stranger', 'bxa'), fc.constantFrom(...NAMES), (list, defaultPolicy, caller, destination) => {
        const authorization = resolveAuthorization(buildIntentions(list, defaultPolicy), destination, { protocol: 'tcp', jwtProviders: PROVIDERS });
        const identity = identityOf(caller);
        const decided = deciding(list, caller, destination);
        const needsRequests = decided !== undefined && (actionOf(decided.source) === 'l7' || decided.jwt !== undefined);
        const expected = decided ? actionOf(decided.source) === 'allow' && !needsRequests : defaultPolicy === 'allow';
        const matchers = callerSanMatchers(authorization, TRUST_DOMAIN);
        expect(matchers).not.toHaveLength(0);
        expect(matchers.some(({ matcher }) => matcher && textMatches(matcher, identity))).toBe(expected);
        const rules = rulesOf(buildNetworkRbac(authorization, TRUST_DOMAIN).typed_config);
        expect(rbacAllows(rules, { identity, path: '', method: '', headers: {}, tokens: {} })).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });
});

function identityOf(service: string): string {
  return `spiffe://${TRUST_DOMAIN}/ns/default/dc/dc1/svc/${service}`;
}

function rulesOf(any: object | undefined): Rbac {
  const rules: Rbac | undefined = any && Reflect.get(any, 'rules');
  if (!rules) throw new Error('a filter without rules lets everything pass');
  return rules;
}
