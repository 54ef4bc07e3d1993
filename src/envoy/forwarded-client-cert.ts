import type {
  envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';

/**
 * x-forwarded-client-cert tells the application who called. What a caller wrote there itself is thrown away: only what this
 * proxy verified in the handshake remains.
 */
export const FORWARD_VERIFIED_CALLER: Partial<HttpConnectionManager> = {
  forward_client_cert_details: 'SANITIZE_SET',
  set_current_client_cert_details: { subject: true, cert: true, chain: true, dns: true, uri: true },
};

/**
 * Frameworks that fold `_` into `-` would take these for the header that Envoy guards. All spellings with at least one
 * underscore: 2³ − 1.
 */
export const FORGED_SPELLINGS: readonly string[] = ['-', '_']
  .flatMap((a) => ['-', '_'].flatMap((b) => ['-', '_'].map((c) => `x${a}forwarded${b}client${c}cert`)))
  .filter((name) => name.includes('_'));

/** The parts of a caller's SPIFFE ID, for access logs and extensions, under the metadata namespace `consul`. */
export function buildCallerMetadata(): HttpFilter {
  return {
    name: 'envoy.filters.http.header_to_metadata',
    typed_config: typed('envoy.extensions.filters.http.header_to_metadata.v3.Config', {
      request_rules: ['trust-domain', 'partition', 'namespace', 'datacenter', 'service'].map((key, index) => ({
        header: 'x-forwarded-client-cert',
        on_header_present: {
          metadata_namespace: 'consul',
          key,
          regex_value_rewrite: { pattern: { regex: CALLER_URI }, substitution: `\\${index + 1}` },
        },
      })),
    }),
  };
}

const CALLER_URI = '.*URI=spiffe://([^/]+.[^/]+)(?:/ap/([^/]+))?/ns/([^/]+)/dc/([^/]+)/svc/([^/;,]+).*';
