import { describe, expect, test } from 'vitest';
import { callerSanMatchers } from '../../../src/envoy/caller-sans.ts';
import { buildJwksCluster, buildJwtAuthn } from '../../../src/envoy/jwt-authn.ts';
import { buildHttpRbac, buildNetworkRbac } from '../../../src/envoy/rbac.ts';
import { configEntrySchemas } from '../../../src/mesh/schema/config-entry.ts';
import { encodeUnknown } from '../../../src/proto/codec.ts';
import { resolveAuthorization } from '../../../src/topology/authorization.ts';
import { buildIntentions } from '../../../src/topology/intentions.ts';

const remote = configEntrySchemas['jwt-provider'].parse({
  kind: 'jwt-provider',
  name: 'remote',
  issuer: 'https://issuer.example',
  audiences: ['api'],
  json_web_key_set: {
    remote: {
      uri: 'https://keys.example/jwks.json',
      request_timeout_ms: 1500,
      cache_duration: '5m',
      retry_policy: { num_retries: 3, retry_policy_back_off: { base_interval: '2s' } },
    },
  },
  locations: [{ header: { name: 'x-token', value_prefix: 'Bearer ', forward: true } }, { query_param: { name: 'tok' } }, { cookie: { name: 'jwt' } }],
  forwarding: { header_name: 'x-payload' },
});

const authorize = (sources: object[], { policy = 'deny' as 'allow' | 'deny', protocol = 'http', jwt = undefined as object | undefined } = {}) => {
  const entry = configEntrySchemas['service-intentions'].parse({ kind: 'service-intentions', name: 'api', sources, ...(jwt && { jwt }) });
  return resolveAuthorization(buildIntentions([entry], policy), 'api', { protocol, jwtProviders: new Map([[remote.name, remote]]) });
};
const caller = (name: string) => ({ authenticated: { principal_name: { safe_regex: { regex: `^spiffe://mesh.test/ns/default/dc/[^/]+/svc/${name}$` } } } });
const any = [{ any: true }];

describe('network RBAC', () => {
  const rules = (authorization: ReturnType<typeof authorize>) => buildNetworkRbac(authorization, 'mesh.test').typed_config;

  test('denies all by default, or allows all', () => {
    expect(rules(authorize([], { protocol: 'tcp' }))).toMatchObject({ stat_prefix: 'connect_authz', rules: {} });
    expect(rules(authorize([], { protocol: 'tcp', policy: 'allow' }))).toMatchObject({ rules: { action: 'DENY' } });
  });

  test('takes every caller with an intention of its own off the wildcard', () => {
    const sources = [
      { name: 'web', action: 'deny' },
      { name: 'web.v2', action: 'allow' },
      { name: '*', action: 'allow' },
    ];
    const everyoneElse = { and_ids: { ids: [caller('[^/]+'), { not_id: caller('web') }, { not_id: caller('web\\.v2') }] } };
    expect(rules(authorize(sources, { protocol: 'tcp' }))).toMatchObject({
      rules: { policies: { 'consul-intentions-layer4': { permissions: any, principals: [caller('web\\.v2'), everyoneElse] } } },
    });
  });
});

describe('HTTP RBAC', () => {
  const policies = (authorization: ReturnType<typeof authorize>) =>
    Reflect.get(Reflect.get(buildHttpRbac(authorization, 'mesh.test').typed_config ?? {}, 'rules'), 'policies');

  test('takes from a permission all that come before it, and counts policies without those that equal the default', () => {
    const permissions = [
      { action: 'allow', http: { path_exact: '/healthz', methods: ['GET', 'HEAD'] } },
      { action: 'deny', http: { path_prefix: '/admin' } },
      { action: 'allow', http: { header: [{ name: 'x-env', prefix: 'p', ignore_case: true, invert: true }] } },
    ];
    const healthz = {
      and_rules: {
        rules: [{ url_path: { path: { exact: '/healthz' } } }, { header: { name: ':method', string_match: { safe_regex: { regex: 'GET|HEAD' } } } }],
      },
    };
    const list = '(?i)(?:.*,)?[ \\t]*p.*[ \\t]*(?:,.*)?';
    const env = { header: { name: 'x-env', string_match: { safe_regex: { regex: list } }, invert_match: true } };
    const sources = [
      { name: 'a', permissions: [{ action: 'deny', http: { path_prefix: '/' } }] },
      { name: 'db', action: 'allow' },
      { name: 'web', permissions },
    ];
    expect(policies(authorize(sources))).toEqual({
      'consul-intentions-layer4': { permissions: any, principals: [caller('db')] },
      'consul-intentions-layer7-1': {
        permissions: [healthz, { and_rules: { rules: [env, { not_rule: { url_path: { path: { prefix: '/admin' } } } }, { not_rule: healthz }] } }],
        principals: [caller('web')],
      },
    });
  });

  const issuer = {
    metadata: {
      filter: 'envoy.filters.http.jwt_authn',
      path: [{ key: 'jwt_payload_remote' }, { key: 'iss' }],
      value: { string_match: { exact: 'https://issuer.example' } },
    },
  };

  test('asks for a token besides the caller, under both default policies', () => {
    const jwt = { providers: [{ name: 'remote' }] };
    const allow = [{ name: 'web', action: 'allow' }];
    expect(policies(authorize(allow, { jwt }))).toEqual({
      'consul-intentions-layer4': { permissions: any, principals: [{ and_ids: { ids: [caller('web'), issuer] } }] },
    });
    expect(policies(authorize(allow, { jwt, policy: 'allow' }))).toEqual({
      'token-required': { permissions: any, principals: [{ and_ids: { ids: [caller('web'), { not_id: issuer }] } }] },
    });
  });
});

describe('identities let through the handshake', () => {
  const regexes = (authorization: ReturnType<typeof authorize>) =>
    callerSanMatchers(authorization, 'mesh.test').map(({ matcher }) => matcher?.safe_regex?.regex ?? matcher);
  const tcp = { protocol: 'tcp' };

  test('nobody is a matcher that nobody meets, never an empty list', () => {
    expect(regexes(authorize([], tcp))).toEqual([{ exact: 'nobody:' }]);
  });

  test('the allowed ones, in any datacenter', () => {
    const sources = [
      { name: 'web', action: 'allow' },
      { name: 'db', action: 'deny' },
    ];
    expect(regexes(authorize(sources, tcp))).toEqual(['spiffe://mesh\\.test/ns/default/dc/[^/]+/svc/web']);
  });

  test('all but the denied ones', () => {
    expect(regexes(authorize([{ name: 'ab', action: 'deny' }], { ...tcp, policy: 'allow' }))).toEqual([
      'spiffe://mesh\\.test/ns/default/dc/[^/]+/svc/(?:[^/a][^/]*|a(?:[^/b][^/]*|b[^/]+)?)',
    ]);
    expect(regexes(authorize([], { ...tcp, policy: 'allow' }))).toEqual(['spiffe://mesh\\.test/ns/default/dc/[^/]+/svc/[^/]+']);
  });
});

describe('JWT', () => {
  test('the filter verifies and never rejects', () => {
    const filter = buildJwtAuthn(authorize([{ name: 'web', action: 'allow' }], { jwt: { providers: [{ name: 'remote' }] } }));
    expect(filter?.typed_config).toMatchObject({
      providers: {
        remote: {
          issuer: 'https://issuer.example',
          audiences: ['api'],
          payload_in_metadata: 'jwt_payload_remote',
          forward: true,
          from_headers: [{ name: 'x-token', value_prefix: 'Bearer ' }],
          from_params: ['tok'],
          from_cookies: ['jwt'],
          forward_payload_header: 'x-payload',
          remote_jwks: {
            http_uri: { uri: 'https://keys.example/jwks.json', cluster: 'jwks_cluster_remote', timeout: '1s' },
            cache_duration: '300s',
            retry_policy: { num_retries: 3, retry_back_off: { base_interval: '2s' } },
          },
        },
      },
      rules: [{ match: { prefix: '/' }, requires: { requires_any: { requirements: [{ provider_name: 'remote' }, { allow_missing_or_failed: {} }] } } }],
    });
    expect(buildJwtAuthn(authorize([{ name: 'web', action: 'allow' }]))).toBeUndefined();
  });

  test('remote keys come through a cluster that finds a host name by DNS', () => {
    const cluster = buildJwksCluster(remote);
    expect(cluster).toMatchObject({ name: 'jwks_cluster_remote', type: 'STRICT_DNS', transport_socket: { name: 'tls' } });
    expect(() => encodeUnknown('envoy.config.cluster.v3.Cluster', cluster)).not.toThrow();
  });
});
