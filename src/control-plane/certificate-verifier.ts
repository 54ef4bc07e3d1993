import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { ALLOWED, denied, type ProofVerifier } from './verifier.ts';

/**
 * Client certificates with the SPIFFE ID of the service. TLS has checked the chain when the connection began; what may have changed
 * since is checked each time: its end, and whether its issuer is trusted still.
 * @param options.trusted the CAs that sign client certificates themselves, now
 */
export function createCertificateVerifier({ trusted, clock }: { trusted: () => readonly X509Certificate[]; clock: Clock }): ProofVerifier {
  /** Signatures are costly to check, and do not change. */
  const issuers = new WeakMap<X509Certificate, X509Certificate>();
  const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate) => {
    if (issuers.get(certificate)?.fingerprint256 === issuer.fingerprint256) return true;
    const issued = certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
    if (issued) issuers.set(certificate, issuer);
    return issued;
  };
  return {
    verify({ certificate }, { id, identity: { service, spiffeId } }) {
      if (!certificate) return undefined;
      const now = clock.now();
      if (Date.parse(certificate.validTo) <= now) return denied(`the certificate of ${id} has expired`);
      if (!trusted().some((issuer) => isIssuedBy(certificate, issuer))) return denied(`the certificate of ${id} is signed by no CA that is trusted`);
      // the whole of its names, so that no certificate speaks for two
      if (certificate.subjectAltName !== `URI:${spiffeId}`) return denied(`the certificate of ${id} is not for the service ${service}`);
      return ALLOWED;
    },
  };
}
