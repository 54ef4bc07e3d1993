import type {
  envoy_extensions_transport_sockets_tls_v3_CommonTlsContext as CommonTlsContext,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
  envoy_extensions_transport_sockets_tls_v3_SdsSecretConfig as SdsSecretConfig,
  envoy_extensions_transport_sockets_tls_v3_Secret as Secret,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';

/**
 * Where Envoy has the token for its streams from. `inline`: in the bootstrap. `file`: a file, read when Envoy starts. `sds`: a file that
 * `buildTokenSds` wrote, which leads to the token's `file`; Envoy reads it again when something is moved into that file's folder.
 */
export type TokenSource = { readonly inline: string } | { readonly file: string; readonly sds?: string };

/** PEM files. `sds`: a file that `buildCertificateSds` wrote, so that Envoy reads them again when they are replaced; otherwise once. */
export interface ClientCertificateSource {
  readonly cert: string;
  readonly key: string;
  readonly sds?: string;
}

const TOKEN = 'adsum_token';
const CERTIFICATE = 'adsum_client_certificate';

/**
 * Puts the token into each call's `x-consul-token`. A filter and not `initial_metadata`, which Envoy's /config_dump shows: what stands
 * in a secret is left out there.
 */
export function buildTokenFilters(token: TokenSource): HttpFilter[] {
  return [
    {
      name: 'envoy.filters.http.credential_injector',
      typed_config: typed('envoy.extensions.filters.http.credential_injector.v3.CredentialInjector', {
        overwrite: true,
        credential: {
          name: 'envoy.http.injected_credentials.generic',
          typed_config: typed('envoy.extensions.http.injected_credentials.generic.v3.Generic', {
            header: 'x-consul-token',
            credential: 'file' in token && token.sds !== undefined ? fromFile(TOKEN, token.sds, token.file) : { name: TOKEN },
          }),
        },
      }),
    },
    { name: 'envoy.filters.http.upstream_codec', typed_config: typed('envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec', {}) },
  ];
}

/** What stands in the bootstrap itself. */
export function buildStaticSecrets(token: TokenSource | undefined): Secret[] {
  if (!token || ('file' in token && token.sds !== undefined)) return [];
  return [{ name: TOKEN, generic_secret: { secret: 'file' in token ? { filename: token.file } : { inline_string: token.inline } } }];
}

export function buildClientCertificate({ cert, key, sds }: ClientCertificateSource): CommonTlsContext {
  if (sds !== undefined) return { tls_certificate_sds_secret_configs: [fromFile(CERTIFICATE, sds, cert)] };
  return { tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }] };
}

/** The content of the file for `TokenSource.sds`. */
export function buildTokenSds(file: string): object {
  return { resources: [typed('envoy.extensions.transport_sockets.tls.v3.Secret', { name: TOKEN, generic_secret: { secret: { filename: file } } })] };
}

/** The content of the file for `ClientCertificateSource.sds`. */
export function buildCertificateSds({ cert, key }: ClientCertificateSource): object {
  const tls_certificate = { certificate_chain: { filename: cert }, private_key: { filename: key } };
  return { resources: [typed('envoy.extensions.transport_sockets.tls.v3.Secret', { name: CERTIFICATE, tls_certificate })] };
}

/** @param watched read again when something is moved into the folder of this file */
function fromFile(name: string, path: string, watched: string): SdsSecretConfig {
  const folder = watched.slice(0, Math.max(1, watched.lastIndexOf('/')));
  return { name, sds_config: { path_config_source: { path, watched_directory: { path: folder } }, resource_api_version: 'V3' } };
}
