import { tokenIdOf } from './access-token.ts';
import type { TokenStore } from './token-store.ts';
import { ALLOWED, denied, type ProofVerifier } from './verifier.ts';

/** adsum's own tokens, each bound to a service, and where wanted to a node. */
export function createTokenVerifier(tokens: Pick<TokenStore, 'find'>): ProofVerifier {
  return {
    verify({ token }, { id, node, identity: { service } }) {
      if (token === undefined || tokenIdOf(token) === undefined) return undefined;
      const grant = tokens.find(token);
      if (!grant) return denied(`the token of ${id} is unknown here, was revoked or has expired`);
      if (grant.service !== service) return denied(`the token of ${id} is not for the service ${service}`);
      if (grant.node !== undefined && grant.node !== node) return denied(`the token of ${id} is not for the node ${node}`);
      return ALLOWED;
    },
  };
}
