/**
 * Why no token can be verified by a key set (base64 of its JSON), if so. Keys that Envoy does not know are left out by it; without a single one that it
 * does, it refuses the whole listener. Source: RFC 7517 and 7518, and what Envoy 1.36 and 1.40 take.
 */
export function keySetFault(base64: string): string | undefined {
  const keys = parseKeys(base64);
  if (!keys) return 'not a JSON Web Key Set in base64';
  return keys.some(isUsable) ? undefined : 'not one key in it that Envoy could verify with';
}

function parseKeys(base64: string): readonly unknown[] | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const keySet: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const keys: unknown = typeof keySet === 'object' && keySet !== null ? Reflect.get(keySet, 'keys') : undefined;
    return Array.isArray(keys) ? keys : undefined;
  } catch {
    return undefined;
  }
}

/** Curve → the algorithm it is for, and the bytes of a coordinate. */
const CURVES = new Map([
  ['P-256', { alg: 'ES256', bytes: 32 }],
  ['P-384', { alg: 'ES384', bytes: 48 }],
  ['P-521', { alg: 'ES512', bytes: 66 }],
]);

/** By their form; whether a point lies on its curve is left to Envoy. */
function isUsable(key: unknown): boolean {
  if (typeof key !== 'object' || key === null) return false;
  const field = (name: string): unknown => Reflect.get(key, name);
  switch (field('kty')) {
    case 'RSA':
      return byteLength(field('n')) > 0 && byteLength(field('e')) > 0;
    case 'EC':
      return isUsableCurve(field);
    case 'oct':
      return byteLength(field('k')) > 0;
    case 'OKP':
      return field('crv') === 'Ed25519' && byteLength(field('x')) === 32;
    default:
      return false;
  }
}

function isUsableCurve(field: (name: string) => unknown): boolean {
  const [crv, alg] = [field('crv'), field('alg')];
  const byAlg = [...CURVES.values()].find((known) => known.alg === (alg ?? 'ES256'));
  const curve = typeof crv === 'string' ? CURVES.get(crv) : byAlg;
  if (!curve || (alg !== undefined && alg !== curve.alg)) return false;
  return byteLength(field('x')) === curve.bytes && byteLength(field('y')) === curve.bytes;
}

/** Of base64url, padded or not; 0 for anything else. */
function byteLength(value: unknown): number {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+={0,2}$/.test(value)) return 0;
  return Math.floor((value.replace(/=+$/, '').length * 3) / 4);
}
