import { describe, expect, test } from 'vitest';
import { REDACTED, redact, redactText } from '../../../src/runtime/redact.ts';

const encoded = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64');
const KEYS = { keys: [{ kty: 'oct', kid: '1', alg: 'HS256', k: 'U0VDUkVU' }] };

describe('what stands in the place of a secret', () => {
  test.each<[string, unknown]>([
    ['an inline key', { tls_certificates: [{ private_key: { inline_string: 'SECRET' }, certificate_chain: { inline_string: 'x' } }] }],
    ['a key as bytes', { private_key: { inline_bytes: 'SECRET' } }],
    ['a camelCase key', { privateKey: { inlineString: 'SECRET' } }],
    ['a password', { private_key: { filename: '/k' }, password: { inline_string: 'SECRET' } }],
    ['a generic secret', { name: 'n', generic_secret: { secret: { inline_string: 'SECRET' } } }],
    ['an OAuth secret', { token_secret: { inline_string: 'SECRET' }, hmac_secret: 'SECRET', client_secret: 'SECRET' }],
    ['session ticket keys', { session_ticket_keys: { keys: [{ inline_string: 'SECRET' }] } }],
    [
      'metadata of a gRPC call',
      {
        initial_metadata: [
          { key: 'authorization', value: 'SECRET' },
          { key: 'x-api-key', value: 'SECRET' },
        ],
      },
    ],
    ['a header that is added', { request_headers_to_add: [{ header: { key: 'x-consul-token', value: 'SECRET' }, append_action: 'A' }] }],
    [
      'a header that is compared',
      {
        headers: [
          { name: 'Cookie', string_match: { exact: 'SECRET' } },
          { name: 'x-auth-token', exact_match: 'SECRET' },
        ],
      },
    ],
    ['a symmetric key set', { local_jwks: { inline_string: JSON.stringify({ keys: [{ kty: 'oct', k: 'SECRET' }] }) } }],
    ['a private key set', { inline_string: JSON.stringify({ keys: [{ kty: 'EC', x: 'x', y: 'y', d: 'SECRET' }] }) }],
    ['a credential of an extension', { config: { google: { credentials: { json: 'SECRET' } }, api_key: 'SECRET', accessToken: 'SECRET' } }],
  ])('%s', (_what, value) => {
    expect(JSON.stringify(value)).toContain('SECRET');
    expect(JSON.stringify(redact(value))).not.toContain('SECRET');
    expect(JSON.stringify(redact(value))).toContain(REDACTED);
  });

  test('an encoded key set stays one, without its keys', () => {
    const { jwks } = redact({ jwks: encoded(KEYS) });
    expect(JSON.parse(Buffer.from(jwks, 'base64').toString())).toEqual({ keys: [{ kty: 'oct', kid: '1', alg: 'HS256', k: REDACTED }] });
  });

  test.each([
    ['Authorization: Bearer SECRETSECRET here', `Authorization: Bearer ${REDACTED} here`],
    ['{"value":"Basic SECRET=="}', `{"value":"Basic ${REDACTED}"}`],
    ['-----BEGIN EC PRIVATE KEY-----\nSECRET\n-----END EC PRIVATE KEY-----\nrest', `${REDACTED}\nrest`],
    ['cut off: -----BEGIN PRIVATE KEY-----\nSECRET', `cut off: ${REDACTED}`],
    [`token adsum_0123456789ab_${'S'.repeat(43)}.`, `token ${REDACTED}.`],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ3ZWIifQ.SECRETSECRET', REDACTED],
    ['http://user:SECRET@host:8500/v1', `http://user:${REDACTED}@host:8500/v1`],
    ['a field {"k":"SECRETSECRET"} of a set', `a field {"k":"${REDACTED}"} of a set`],
  ])('in a text: %s', (text, clean) => {
    expect(redactText(text)).toBe(clean);
  });
});

test('what is no secret stays the very same object', () => {
  const resource = {
    name: 'token-service.default.dc1',
    secrets: [{ name: 'roots', validation_context: { trusted_ca: { inline_string: '-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----' } } }],
    tls_certificate_sds_secret_configs: [{ name: 'leaf', sds_config: { ads: {} } }],
    from_headers: [{ name: 'Authorization', value_prefix: 'Bearer ' }],
    private_key: { filename: '/etc/key.pem' },
    hash_policy: [{ cookie: { name: 'session', ttl: '5s' } }],
    port: 8443,
    at: new Date(0),
    url: 'spiffe://td.consul/ns/default/dc/dc1/svc/web',
  };
  expect(redact(resource)).toBe(resource);
});
