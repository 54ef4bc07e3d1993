import type { ConnectedNode } from '../server/proxy-directory.ts';
import type { ProxyIdentity } from '../topology/proxy-identity.ts';

/** What a stream shows of who it is. */
export type Proof = Pick<ConnectedNode, 'token' | 'certificate'>;

/** Which proxy it wants to be served as. */
export interface Claim {
  /** The proxy's ID, for messages. */
  readonly id: string;
  /** The node it is registered on. */
  readonly node: string;
  readonly identity: ProxyIdentity;
}

/** `unknown`: whoever knows cannot be asked now. Reasons are for the operator of the proxy and hold no secret. */
export type Verdict = { readonly verdict: 'allowed' } | { readonly verdict: 'denied' | 'unknown'; readonly reason: string };

export const ALLOWED: Verdict = { verdict: 'allowed' };

export function denied(reason: string): Verdict {
  return { verdict: 'denied', reason };
}

/**
 * Port: decides whether a proof is good for a claim. Asked when a stream opens and again while it lives. Consul's ACLs, adsum's own
 * tokens, client certificates and JWTs are such; Kubernetes' TokenReview will be.
 */
export interface Verifier {
  verify(proof: Proof, claim: Claim): Promise<Verdict>;
}

/** A verifier for one sort of proof among others. Undefined: the stream shows no proof of this sort. */
export interface ProofVerifier {
  verify(proof: Proof, claim: Claim): Promise<Verdict> | Verdict | undefined;
}

/** Any one good proof is enough; a stream without any is told what it needs. */
export function anyProof(verifiers: readonly ProofVerifier[], whatIsNeeded: (claim: Claim) => string): Verifier {
  return {
    async verify(proof, claim) {
      const failures: Verdict[] = [];
      for (const verifier of verifiers) {
        const verdict = await verifier.verify(proof, claim);
        if (verdict?.verdict === 'allowed') return verdict;
        if (verdict) failures.push(verdict);
      }
      return failures.find(({ verdict }) => verdict === 'unknown') ?? failures[0] ?? denied(whatIsNeeded(claim));
    },
  };
}
