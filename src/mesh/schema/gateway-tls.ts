import { flag, oneOf, section, text, textList } from './field.ts';

export const TLS_VERSIONS = ['TLS_AUTO', 'TLSv1_0', 'TLSv1_1', 'TLSv1_2', 'TLSv1_3'] as const;

/** Versions and cipher suites of a TLS endpoint. */
export const tlsParameters = {
  tls_min_version: oneOf(TLS_VERSIONS, 'Lowest version.', { default: 'TLSv1_2' }),
  tls_max_version: oneOf(TLS_VERSIONS, 'Highest version.', { default: "Envoy's" }),
  cipher_suites: textList('Cipher suites for TLS 1.2 and lower.', { default: "Envoy's" }),
};

const sds = section('A certificate from an SDS server of the user.', {
  cluster_name: text('The Envoy cluster of the SDS server.'),
  cert_resource: text('The name of the secret.'),
});

export const gatewayTls = section('TLS of a gateway or a listener.', { enabled: flag('Serve TLS.'), sds, ...tlsParameters });
export const gatewayServiceTls = section('TLS for one service.', { sds });
