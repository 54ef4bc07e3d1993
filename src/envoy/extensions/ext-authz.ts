import { regexFault } from '../../mesh/check/regex.ts';
import type { ExtensionArguments, StringMatchers } from '../../mesh/schema/extension-arguments.ts';
import type {
  envoy_extensions_filters_http_ext_authz_v3_ExtAuthz as HttpExtAuthz,
  envoy_extensions_filters_http_ext_authz_v3_HttpService as HttpService,
  envoy_type_matcher_v3_ListStringMatcher as ListStringMatcher,
  envoy_extensions_filters_network_ext_authz_v3_ExtAuthz as NetworkExtAuthz,
} from '../../proto/generated/types.ts';
import { typed } from '../../proto/typed.ts';
import { isHttp } from '../../topology/proxy-settings.ts';
import { envoyDuration } from '../duration.ts';
import type { EnvoyResource } from '../resource.ts';
import { clusterResource } from '../upstream-resources.ts';
import { ExtensionError, type ExtensionInput } from './extension.ts';
import { insertFilter, mapFilterChains, mapHttpConnectionManager, speaksHttp } from './listeners.ts';
import { buildGrpcService, resolveTarget } from './target.ts';

type Arguments = ExtensionArguments<'builtin/ext-authz'>;
/** Enums go by name in JSON, or by number, which here is the status itself. */
type StatusCode = NonNullable<NonNullable<HttpExtAuthz['status_on_error']>['code']>;
type HttpServiceSettings = NonNullable<Arguments['config']['http_service']>;

/** The cluster of an authorization service on the same host; Consul's name. */
const LOCAL_CLUSTER = 'local_ext_authz';

/** Envoy's own for gRPC; over HTTP it refuses a service without one. */
const DEFAULT_TIMEOUT_MS = 200;

/** Asks a service of the user's whether a request, or a connection, may pass. */
export function applyExtAuthz(settings: Arguments, input: ExtensionInput): EnvoyResource[] {
  const { view, required } = input;
  const { grpc_service: grpc, http_service: http } = settings.config;
  if (Boolean(grpc) === Boolean(http)) throw new ExtensionError('exactly one of GrpcService and HttpService is needed');
  const target = grpc?.target ?? http?.target;
  if (!target) throw new ExtensionError('a target is needed');
  const { clusterName, cluster } = resolveTarget(view, target, { clusterName: LOCAL_CLUSTER, grpc: grpc !== undefined });
  const service = grpc ? { grpc_service: buildGrpcService(grpc, clusterName) } : { http_service: http && buildHttpService(http, clusterName) };
  const common = { stat_prefix: settings.config.stat_prefix ?? 'response', transport_api_version: 'V3' as const, failure_mode_allow: !required };
  const patched = isHttp(view.inbound.protocol)
    ? onRequests(settings, input, { ...common, ...service, ...requestSettings(settings.config) })
    : onConnections(settings, input, { ...common, ...service });
  return cluster ? [...patched, clusterResource(cluster)] : patched;
}

function onRequests(
  { listener_type: direction = 'inbound', insert_options: options }: Arguments,
  input: ExtensionInput,
  config: HttpExtAuthz,
): EnvoyResource[] {
  const filter = { name: 'envoy.filters.http.ext_authz', typed_config: typed('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', config) };
  return mapFilterChains(input, direction, (chain) =>
    mapHttpConnectionManager(chain, (manager) => {
      const filters = insertFilter(manager.http_filters ?? [], filter, 'envoy.filters.http.router', options);
      if (!filters) throw new ExtensionError(`there is no HTTP filter ${options?.filter_name ?? ''}`);
      return { ...manager, http_filters: filters };
    }),
  );
}

function onConnections(
  { listener_type: direction = 'inbound', insert_options: options, config: { http_service } }: Arguments,
  input: ExtensionInput,
  config: NetworkExtAuthz,
): EnvoyResource[] {
  if (http_service) throw new ExtensionError('an HttpService cannot decide about connections: the protocol of the service is tcp');
  const filter = { name: 'envoy.filters.network.ext_authz', typed_config: typed('envoy.extensions.filters.network.ext_authz.v3.ExtAuthz', config) };
  return mapFilterChains(input, direction, (chain) => {
    if (speaksHttp(chain)) return chain;
    const filters = insertFilter(chain.filters ?? [], filter, 'envoy.filters.network.tcp_proxy', options);
    if (!filters) throw new ExtensionError(`there is no network filter ${options?.filter_name ?? ''}`);
    return { ...chain, filters };
  });
}

function requestSettings(config: Arguments['config']): HttpExtAuthz {
  const body = config.with_request_body;
  return {
    metadata_context_namespaces: [...config.metadata_context_namespaces, 'consul'],
    ...(config.bootstrap_metadata_labels_key && { bootstrap_metadata_labels_key: config.bootstrap_metadata_labels_key }),
    ...(config.clear_route_cache && { clear_route_cache: true }),
    ...(config.include_peer_certificate && { include_peer_certificate: true }),
    ...(config.status_on_error && { status_on_error: { code: config.status_on_error as unknown as StatusCode } }),
    ...(body && Object.keys(body).length > 0 && { with_request_body: body }),
  };
}

function buildHttpService(settings: HttpServiceSettings, clusterName: string): HttpService {
  const { target, path_prefix, authorization_request: request, authorization_response: response } = settings;
  const allowed = matchers(request?.allowed_headers);
  const added = (request?.headers_to_add ?? []).map(({ key, value }) => ({ key, value: value ?? '' }));
  return {
    // Envoy goes by the cluster and does not use the URI.
    server_uri: { uri: clusterName, cluster: clusterName, timeout: envoyDuration(target.timeout ?? DEFAULT_TIMEOUT_MS) },
    ...(path_prefix && { path_prefix }),
    ...((allowed || added.length > 0) && {
      authorization_request: { ...(allowed && { allowed_headers: allowed }), ...(added.length > 0 && { headers_to_add: added }) },
    }),
    ...(response && {
      authorization_response: {
        allowed_upstream_headers: matchers(response.allowed_upstream_headers),
        allowed_upstream_headers_to_append: matchers(response.allowed_upstream_headers_to_append),
        allowed_client_headers: matchers(response.allowed_client_headers),
        allowed_client_headers_on_success: matchers(response.allowed_client_headers_on_success),
        dynamic_metadata_from_headers: matchers(response.dynamic_metadata_from_headers),
      },
    }),
  };
}

function matchers(settings: StringMatchers | undefined): ListStringMatcher | undefined {
  if (!settings || settings.length === 0) return undefined;
  const patterns = settings.map(({ contains, exact, prefix, suffix, safe_regex, ignore_case }) => {
    // A regular expression says itself whether case matters; Envoy takes no flag with it.
    const fault = safe_regex && regexFault(safe_regex);
    if (fault) throw new ExtensionError(`${safe_regex} is no regular expression of RE2: ${fault}`);
    if (safe_regex) return { safe_regex: { regex: safe_regex } };
    const pattern = contains ? { contains } : exact ? { exact } : prefix ? { prefix } : { suffix: suffix ?? '' };
    return { ...pattern, ...(ignore_case && { ignore_case }) };
  });
  return { patterns };
}
