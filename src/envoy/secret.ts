import type {
  envoy_extensions_transport_sockets_tls_v3_SdsSecretConfig,
  envoy_extensions_transport_sockets_tls_v3_Secret,
  envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher,
} from '../proto/generated/types.ts';
import { SECRETS } from './names.ts';
import type { EnvoyResource } from './resource.ts';

type Secret = envoy_extensions_transport_sockets_tls_v3_Secret;
type SanMatcher = envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher;

/** What a proxy proves an identity with: its own unless another secret's name is given. Both PEM; the chain has the leaf first. */
export function buildLeafSecret(leaf: { certificateChain: string; privateKey: string }, name: string = SECRETS.leaf): EnvoyResource<Secret> {
  return secret(name, {
    tls_certificate: { certificate_chain: { inline_string: leaf.certificateChain }, private_key: { inline_string: leaf.privateKey } },
  });
}

/** Whom a proxy trusts: PEM certificates of all roots in force. */
export function buildRootsSecret(pems: readonly string[]): EnvoyResource<Secret> {
  return secret(SECRETS.roots, { validation_context: { trusted_ca: trustedCa(pems) } });
}

/**
 * Whom a proxy trusts, and which of them may connect at all. Decided in the TLS handshake, so that a caller who is not allowed
 * receives not one byte of a server-first protocol; network RBAC speaks only after the caller's first byte.
 *
 * An empty list of matchers would admit everybody in Envoy's reading; here it admits nobody.
 */
export function buildCallersSecret(pems: readonly string[], sanMatchers: readonly SanMatcher[]): EnvoyResource<Secret> {
  return secret(SECRETS.callers, {
    validation_context: { trusted_ca: trustedCa(pems), match_typed_subject_alt_names: sanMatchers.length > 0 ? sanMatchers : [NOBODY] },
  });
}

/** No leaf of ours can hold this: a SPIFFE ID has another scheme. */
export const NOBODY: SanMatcher = { san_type: 'URI', matcher: { exact: 'nobody:' } };

/** A reference to a secret that comes over the proxy's own ADS stream. */
export function sdsOverAds(name: string): envoy_extensions_transport_sockets_tls_v3_SdsSecretConfig {
  return { name, sds_config: { ads: {}, resource_api_version: 'V3' } };
}

function trustedCa(pems: readonly string[]): { inline_string: string } {
  return { inline_string: pems.map((pem) => (pem.endsWith('\n') ? pem : `${pem}\n`)).join('') };
}

function secret(name: string, content: Secret): EnvoyResource<Secret> {
  return { type: 'secret', name, body: { name, ...content } };
}
