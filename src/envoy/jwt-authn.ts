import { isIP } from 'node:net';
import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_core_v3_DataSource as DataSource,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
  envoy_extensions_filters_http_jwt_authn_v3_JwtProvider as JwtProviderConfig,
  envoy_extensions_filters_http_jwt_authn_v3_JwtRequirement as JwtRequirement,
  envoy_extensions_filters_http_jwt_authn_v3_RemoteJwks as RemoteJwks,
  envoy_config_core_v3_RetryPolicy as RetryPolicy,
  envoy_extensions_transport_sockets_tls_v3_CertificateValidationContext as ValidationContext,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { Authorization } from '../topology/authorization.ts';
import { type JwtProvider, jwksAddress } from '../topology/authorization-jwt.ts';

type RemoteKeys = NonNullable<JwtProvider['json_web_key_set']['remote']>;
type JwksCluster = NonNullable<RemoteKeys['jwks_cluster']>;

export const JWT_AUTHN_FILTER = 'envoy.filters.http.jwt_authn';

/** Where the filter leaves the payload of a verified token, and RBAC looks for it. */
export function jwtPayloadKey(provider: string): string {
  return `jwt_payload_${provider}`;
}

export const JWKS_CLUSTER_PREFIX = 'jwks_cluster_';

export function jwksClusterName(provider: string): string {
  return `${JWKS_CLUSTER_PREFIX}${provider}`;
}

/**
 * Verifies the tokens that the RBAC filter behind it looks at. It never rejects a request itself: which request needs which token
 * depends on the caller, and only RBAC knows that. Undefined when no token matters.
 */
export function buildJwtAuthn(authorization: Authorization): HttpFilter | undefined {
  const { jwtProviders } = authorization;
  if (jwtProviders.length === 0) return undefined;
  const attempts = jwtProviders.map(
    ({ name }): JwtRequirement => ({ requires_any: { requirements: [{ provider_name: name }, { allow_missing_or_failed: {} }] } }),
  );
  const [only, ...others] = attempts;
  const requires = only && others.length === 0 ? only : { requires_all: { requirements: attempts } };
  return {
    name: JWT_AUTHN_FILTER,
    typed_config: typed('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', {
      providers: Object.fromEntries(jwtProviders.map((provider) => [provider.name, buildProvider(provider)])),
      rules: [{ match: { prefix: '/' }, requires }],
    }),
  };
}

/** The cluster that Envoy fetches the keys of a remote provider through. Every proxy gets it, whether or not it checks tokens, as in Consul. */
export function buildJwksCluster(provider: JwtProvider): Cluster | undefined {
  const { remote } = provider.json_web_key_set;
  const address = remote && jwksAddress(remote.uri ?? '');
  if (!address) return undefined;
  const name = jwksClusterName(provider.name);
  const { jwks_cluster: settings } = remote;
  return {
    name,
    ...discovery(settings, address.host),
    ...(settings?.connect_timeout && { connect_timeout: wholeSeconds(settings.connect_timeout) }),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: address.host, port_value: address.port } } } }] }],
    },
    ...(address.tls && {
      transport_socket: {
        name: 'tls',
        typed_config: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
          common_tls_context: { validation_context: buildValidationContext(settings) },
          ...(remote.use_sni && { sni: address.host }),
        }),
      },
    }),
  };
}

function buildProvider(provider: JwtProvider): JwtProviderConfig {
  const { forwarding, json_web_key_set: keys } = provider;
  const headers = provider.locations.flatMap(({ header }) => (header ? [header] : []));
  const params = provider.locations.flatMap(({ query_param }) => (query_param ? [query_param.name] : []));
  const cookies = provider.locations.flatMap(({ cookie }) => (cookie ? [cookie.name] : []));
  return {
    issuer: provider.issuer,
    audiences: provider.audiences,
    payload_in_metadata: jwtPayloadKey(provider.name),
    ...(keys.local ? { local_jwks: buildLocalKeys(keys.local) } : keys.remote && { remote_jwks: buildRemoteKeys(provider.name, keys.remote) }),
    ...(headers.length > 0 && {
      from_headers: headers.map(({ name, value_prefix }) => ({ name, ...(value_prefix && { value_prefix }) })),
      // Envoy has one switch for all locations; Consul takes it from the last header.
      forward: headers.at(-1)?.forward ?? false,
    }),
    ...(params.length > 0 && { from_params: params }),
    ...(cookies.length > 0 && { from_cookies: cookies }),
    ...(forwarding && {
      forward_payload_header: forwarding.header_name,
      pad_forward_payload_header: forwarding.pad_forward_payload_header ?? false,
    }),
  };
}

function buildLocalKeys(local: NonNullable<JwtProvider['json_web_key_set']['local']>): DataSource {
  return local.jwks ? { inline_string: Buffer.from(local.jwks, 'base64').toString('utf8') } : { filename: local.filename };
}

function buildRemoteKeys(provider: string, remote: RemoteKeys): RemoteJwks {
  return {
    http_uri: { uri: remote.uri, cluster: jwksClusterName(provider), timeout: wholeSeconds(remote.request_timeout_ms ?? 0) },
    async_fetch: { fast_listener: remote.fetch_asynchronously ?? false },
    // Consul writes nanoseconds into this field of seconds; Envoy refuses the listener then.
    ...(remote.cache_duration && { cache_duration: seconds(remote.cache_duration) }),
    ...(remote.retry_policy && { retry_policy: buildRetryPolicy(remote.retry_policy) }),
  };
}

function buildRetryPolicy(policy: NonNullable<RemoteKeys['retry_policy']>): RetryPolicy {
  const backOff = policy.retry_policy_back_off;
  return {
    num_retries: policy.num_retries ?? 0,
    ...(backOff && {
      retry_back_off: {
        base_interval: seconds(backOff.base_interval || DEFAULT_BASE_INTERVAL_MS),
        // Envoy refuses a maximum of zero, which is what Consul sends for one that is not set; ten times the base is Envoy's default.
        ...(backOff.max_interval && { max_interval: seconds(backOff.max_interval) }),
      },
    }),
  };
}

/** Consul's documented default. */
const DEFAULT_BASE_INTERVAL_MS = 1000;

/** A host name needs DNS: Consul's STATIC for a provider without `jwks_cluster` makes Envoy refuse the cluster. */
function discovery(settings: JwksCluster | undefined, host: string): Pick<Cluster, 'type' | 'dns_lookup_family'> {
  const wanted = settings ? (settings.discovery_type ?? 'STRICT_DNS') : 'STATIC';
  const type = wanted === 'STATIC' && isIP(host) === 0 ? 'STRICT_DNS' : wanted;
  if (type === 'STRICT_DNS') return { type, dns_lookup_family: 'V4_PREFERRED' };
  return type === 'LOGICAL_DNS' ? { type, dns_lookup_family: 'ALL' } : { type };
}

/** Without certificates to trust Envoy accepts any: Consul documents it so. */
function buildValidationContext(settings: JwksCluster | undefined): ValidationContext {
  const { trusted_ca: ca, ca_certificate_provider_instance: instance } = settings?.tls_certificates ?? {};
  return { ...(ca && { trusted_ca: ca }), ...(instance && { ca_certificate_provider_instance: instance }) };
}

/** Consul cuts off the fraction of timeouts. Below a second that would be no limit at all, so there it is kept. */
function wholeSeconds(ms: number): string {
  return seconds(ms < 1000 ? ms : Math.floor(ms / 1000) * 1000);
}

function seconds(ms: number): string {
  return `${ms / 1000}s`;
}
