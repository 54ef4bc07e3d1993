import type { Authority } from '../ca/authority.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Watchable } from '../runtime/watchable.ts';
import type { Admission } from './admission.ts';
import { createCertificateVerifier } from './certificate-verifier.ts';
import { createJwtVerifier, type JwtVerifierOptions } from './jwt-verifier.ts';
import { createMeshReadAccess } from './mesh-read-access.ts';
import { StreamGuard } from './stream-guard.ts';
import type { TokenStore } from './token-store.ts';
import { createTokenVerifier } from './token-verifier.ts';
import { anyProof } from './verifier.ts';
import { certificatesIn } from './xds-certificate.ts';

/** What a sidecar of a mesh out of files must show before it is served. */
export interface IdentityOptions {
  /** False: everybody is served as whom they say they are. */
  readonly required: boolean;
  /** PEM of the CAs whose client certificates count; default: the mesh's own. */
  readonly clientCa?: Watchable<string> | undefined;
  readonly jwt?: Omit<JwtVerifierOptions, 'clock'> | undefined;
}

/** Revocation is told at once; this finds tokens and certificates that have expired. */
const RECHECK_MS = 5_000;

/** Who is served of a mesh that has no other judge of identities than adsum itself. */
export function createMeshAdmission(
  options: IdentityOptions,
  { authority, tokens, clock, logger }: { authority: Authority; tokens: TokenStore; clock: Clock; logger: Logger },
): Admission {
  const readAccess = createMeshReadAccess(tokens, (proxy) => guard.serviceOf(proxy));
  const clientCa = options.clientCa ?? rootsOf(authority);
  const trusted = parsed(clientCa);
  const verifier = anyProof(
    [createCertificateVerifier({ trusted, clock }), createTokenVerifier(tokens), ...(options.jwt ? [createJwtVerifier({ ...options.jwt, clock })] : [])],
    ({ id, identity: { service } }) =>
      `${id} does not prove that it is ${service}: give it a token (adsum token create --service ${service}; adsum envoy --token-file) or a client certificate of ${service}`,
  );
  const required = () => options.required;
  const guard: StreamGuard = new StreamGuard({ verifier, required, readAccess, clock, logger, recheckMs: RECHECK_MS });
  tokens.onRevoked(() => void guard.recheck());
  clientCa.onChange(() => void guard.recheck());
  return guard;
}

/** The roots of the mesh as one PEM. */
export function rootsOf(authority: Authority): Watchable<string> {
  return {
    get value() {
      return authority.roots().join('');
    },
    onChange: (listener) =>
      authority.onChange((change) => {
        if (change === 'roots') listener(authority.roots().join(''));
      }),
  };
}

/** Parsed once per change. */
function parsed(pem: Watchable<string>): () => ReturnType<typeof certificatesIn> {
  let last = { text: '', certificates: certificatesIn('') };
  return () => {
    if (pem.value !== last.text) last = { text: pem.value, certificates: certificatesIn(pem.value) };
    return last.certificates;
  };
}
