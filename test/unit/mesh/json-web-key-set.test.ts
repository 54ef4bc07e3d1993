import { expect, test } from 'vitest';
import { keySetFault } from '../../../src/mesh/check/json-web-key-set.ts';

const x = 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4';
const y = '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM';
const ec = { kty: 'EC', crv: 'P-256', x, y };
const rsa = { kty: 'RSA', n: 'sXchOgYN-_8', e: 'AQAB' };
const okp = { kty: 'OKP', crv: 'Ed25519', x };

const faultOf = (...keys: unknown[]) => keySetFault(btoa(JSON.stringify({ keys })));

test.each<[string, unknown]>([
  ['elliptic', ec],
  ['elliptic, by its algorithm alone', { ...ec, crv: undefined, alg: 'ES256' }],
  ['elliptic, by neither', { ...ec, crv: undefined }],
  ['RSA', rsa],
  ['RSA with an algorithm', { ...rsa, alg: 'PS256' }],
  ['RSA with padding', { ...rsa, e: 'AQAB==' }],
  ['secret', { kty: 'oct', k: 'c2VjcmV0' }],
  ['Ed25519', okp],
])('a key: %s', (_, key) => {
  expect(faultOf(key)).toBeUndefined();
  expect(faultOf({ kty: 'unknown' }, key)).toBeUndefined();
});

// Each of them makes Envoy refuse the listener.
test.each<[string, unknown]>([
  ['without a type', { ...ec, kty: undefined }],
  ['of a curve that is not for tokens', { ...ec, crv: 'secp256k1' }],
  ['of another length than its curve', { ...ec, x: 'AA' }],
  ['of one curve with the algorithm of another', { ...ec, alg: 'ES384' }],
  ['of one type with the algorithm of another', { ...ec, alg: 'RS256' }],
  ['RSA without an exponent', { ...rsa, e: undefined }],
  ['RSA in plain base64', { ...rsa, n: 'sXch+gYN/_8' }],
  ['a secret of nothing', { kty: 'oct', k: '' }],
  ['for exchange, not for signatures', { ...okp, crv: 'X25519' }],
  ['that is text', 'key'],
])('no key: %s', (_, key) => {
  expect(faultOf(key)).toMatch(/not one key/);
});

test('no set: not base64, not JSON, not a list', () => {
  expect(faultOf()).toMatch(/not one key/);
  for (const text of ['***', btoa('{'), btoa('{}'), btoa('{"keys": 1}'), btoa('null')]) expect(keySetFault(text)).toMatch(/not a JSON Web Key Set/);
});
