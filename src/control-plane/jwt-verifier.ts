import { createLocalJWKSet, errors, type JSONWebKeySet, jwtVerify } from 'jose';
import type { Clock } from '../runtime/clock.ts';
import type { Watchable } from '../runtime/watchable.ts';
import { ALLOWED, denied, type ProofVerifier } from './verifier.ts';

export interface JwtVerifierOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: Watchable<JSONWebKeySet>;
  /** The claim that names the service, or its SPIFFE ID; default `sub`, as in SPIFFE's JWT-SVIDs. */
  readonly serviceClaim?: string | undefined;
  readonly clock: Clock;
}

/** Signatures with a private key only: with a shared key, who can check could also sign. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** Three parts of base64url. */
const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** JSON Web Tokens of one issuer. */
export function createJwtVerifier({ issuer, audience, keys, serviceClaim = 'sub', clock }: JwtVerifierOptions): ProofVerifier {
  let keySet = createLocalJWKSet(keys.value);
  keys.onChange((next) => {
    keySet = createLocalJWKSet(next);
  });
  return {
    verify({ token }, claim) {
      return token !== undefined && FORM.test(token) ? decide(token, claim) : undefined;
    },
  };

  async function decide(token: string, { id, identity: { service, spiffeId } }: Parameters<ProofVerifier['verify']>[1]) {
    try {
      const requiredClaims = ['exp', serviceClaim];
      const currentDate = new Date(clock.now());
      const { payload } = await jwtVerify(token, keySet, { issuer, audience, algorithms: ALGORITHMS, requiredClaims, currentDate });
      const named = payload[serviceClaim];
      return named === spiffeId || named === service ? ALLOWED : denied(`the JWT of ${id} is not for the service ${service}`);
    } catch (error) {
      // what jose says of a token quotes none of it; what the key parsers say may
      return denied(`the JWT of ${id} is not accepted: ${error instanceof errors.JOSEError ? error.message : 'it cannot be verified'}`);
    }
  }
}
