import type {
  envoy_extensions_transport_sockets_tls_v3_TlsParameters as TlsParameters,
  envoy_config_core_v3_TransportSocket as TransportSocket,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { TlsSettings } from '../topology/mesh-settings.ts';
import type { Protocol } from '../topology/proxy-settings.ts';
import { SECRETS } from './names.ts';
import { sdsOverAds } from './secret.ts';

/**
 * mTLS towards an upstream: our leaf, its exact SPIFFE ID under the roots. Certificates come by SDS, so the same bytes serve
 * every caller and a rotation changes no cluster.
 */
export function buildUpstreamTls(target: { sni: string; spiffeIds: readonly string[] }, tls: TlsSettings | undefined): TransportSocket {
  const sans = target.spiffeIds.map((exact) => ({ san_type: 'URI' as const, matcher: { exact } }));
  const roots = sdsOverAds(SECRETS.roots);
  return {
    name: 'tls',
    typed_config: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
      sni: target.sni,
      common_tls_context: {
        tls_params: buildTlsParameters(tls),
        tls_certificate_sds_secret_configs: [sdsOverAds(SECRETS.leaf)],
        ...(sans.length > 0
          ? {
              combined_validation_context: { default_validation_context: { match_typed_subject_alt_names: sans }, validation_context_sds_secret_config: roots },
            }
          : { validation_context_sds_secret_config: roots }),
      },
    }),
  };
}

/**
 * mTLS of a public listener; a client certificate is always demanded. For tcp the secret also says who may connect at all: there
 * is nothing else to refuse a caller with before the application speaks.
 */
export function buildDownstreamTls(protocol: Protocol, tls: TlsSettings | undefined, callersInHandshake = protocol === 'tcp'): TransportSocket {
  return {
    name: 'tls',
    typed_config: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      require_client_certificate: true,
      common_tls_context: {
        tls_params: buildTlsParameters(tls),
        tls_certificate_sds_secret_configs: [sdsOverAds(SECRETS.leaf)],
        validation_context_sds_secret_config: sdsOverAds(callersInHandshake ? SECRETS.callers : SECRETS.roots),
        ...(ALPN[protocol].length > 0 && { alpn_protocols: ALPN[protocol] }),
      },
    }),
  };
}

const ALPN: Readonly<Record<Protocol, readonly string[]>> = { tcp: [], http: ['http/1.1'], http2: ['h2', 'http/1.1'], grpc: ['h2', 'http/1.1'] };

function buildTlsParameters(tls: TlsSettings | undefined): TlsParameters {
  return {
    ...(tls?.tls_min_version && { tls_minimum_protocol_version: tls.tls_min_version }),
    ...(tls?.tls_max_version && { tls_maximum_protocol_version: tls.tls_max_version }),
    ...(tls?.cipher_suites?.length && { cipher_suites: tls.cipher_suites.map((suite) => CIPHERS[suite] ?? suite) }),
  };
}

/** The IANA names that Consul takes, in the spelling of BoringSSL that Envoy takes. */
const CIPHERS: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
};
