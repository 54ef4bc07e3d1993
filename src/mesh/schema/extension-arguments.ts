import { z } from 'zod';
import { duration, flag, integer, listOf, name, oneOf, required, section, tenancy, text, textList, textMap } from './field.ts';
import type { Parsed } from './parser.ts';
import { parserOf } from './parser.ts';

/** What the `arguments` of each built-in Envoy extension mean. Source: Consul's reference of Envoy extensions. */

const proxyType = oneOf(['connect-proxy', 'terminating-gateway', 'api-gateway'], 'The proxies it applies to; adsum serves sidecars.', {
  default: 'connect-proxy',
});
const listenerType = oneOf(['inbound', 'outbound'], 'Whether it applies to what the proxy receives or to what it sends.', { default: 'inbound' });

const serviceName = section('A service of the mesh, which must be an upstream of the proxy.', {
  name: required(name('Its name.')),
  ...tenancy,
  peer: text('A cluster peer.'),
});

const target = section('Where the service is: exactly one of the two.', {
  service: serviceName,
  uri: text('`host:port` on the own host.'),
  timeout: duration('How long a call may take.'),
});

const keyValues = listOf('Headers.', { key: required(text('Its name.')), value: text('Its value.') });

const grpcService = section('A gRPC service.', { target: required(target), authority: text('The :authority header.'), initial_metadata: keyValues });

const matchers = listOf('Any of these.', {
  contains: text('A part.'),
  exact: text('The whole.'),
  ignore_case: flag('Without regard to case.'),
  prefix: text('The beginning.'),
  safe_regex: text('A regular expression for the whole.'),
  suffix: text('The end.'),
});

const insertOptions = section('Where among the filters it goes.', {
  location: oneOf(['First', 'Last', 'BeforeFirstMatch', 'AfterFirstMatch', 'BeforeLastMatch', 'AfterLastMatch'], 'Relative to what.', {
    default: 'BeforeFirstMatch of the last filter',
  }),
  filter_name: text('The filter that is matched.'),
});

const lua = z.strictObject({
  proxy_type: proxyType,
  listener: required(listenerType),
  script: required(text('The Lua code.')),
});

const extAuthz = z.strictObject({
  proxy_type: proxyType,
  listener_type: listenerType,
  insert_options: insertOptions,
  config: z.strictObject({
    bootstrap_metadata_labels_key: text('A key of the bootstrap metadata to send along.'),
    clear_route_cache: flag('Choose the route anew after the decision.'),
    grpc_service: grpcService,
    http_service: section('An HTTP service.', {
      target: required(target),
      path_prefix: text('Put before the path of the request.'),
      authorization_request: section('What is sent.', { allowed_headers: matchers, headers_to_add: keyValues }),
      authorization_response: section('What is taken from the answer.', {
        allowed_upstream_headers: matchers,
        allowed_upstream_headers_to_append: matchers,
        allowed_client_headers: matchers,
        allowed_client_headers_on_success: matchers,
        dynamic_metadata_from_headers: matchers,
      }),
    }),
    include_peer_certificate: flag("Send the caller's certificate along."),
    metadata_context_namespaces: textList('Metadata namespaces to send along, besides `consul`.'),
    status_on_error: integer('The HTTP status when the service cannot be asked.', { default: '403' }),
    stat_prefix: text('The prefix of its statistics.', { default: 'response' }),
    with_request_body: section('Send the body along.', {
      max_request_bytes: integer('Most bytes.'),
      allow_partial_message: flag('Send as much as fits.'),
      pack_as_bytes: flag('As bytes, not as text.'),
    }),
    // Consul takes the key and ignores it: whether a failure admits follows from `required`.
    failure_mode_allow: flag('Without effect: an extension that is not `required` lets requests through when it fails.'),
  }),
});

const wasm = z.strictObject({
  protocol: required(oneOf(['tcp', 'http'], 'The kind of filter.')),
  proxy_type: proxyType,
  listener_type: required(listenerType),
  insert_options: insertOptions,
  plugin_config: z.strictObject({
    name: text('Its name in the VM.'),
    root_id: text('Plugins of one root share a context.'),
    configuration: text('Given to the plugin at its start.'),
    capability_restriction_configuration: section('What it may do.', { allowed_capabilities: z.record(z.string(), z.unknown()).optional() }),
    vm_config: z.strictObject({
      vm_id: text('Plugins of one VM share it.'),
      runtime: oneOf(['v8', 'wamr', 'wavm', 'wasmtime'], 'The engine.', { default: 'v8' }),
      configuration: text('Given to the VM at its start.'),
      environment_variables: section('Its environment.', { host_env_keys: textList("Taken from Envoy's own."), key_values: textMap('Set.') }),
      code: z.strictObject({
        local: section('A file.', { filename: required(text('Its path on the host of the proxy.')) }),
        remote: section('Fetched from a service of the mesh.', {
          http_uri: z.strictObject({
            service: required(serviceName),
            uri: required(text('Where it is.')),
            timeout: duration('Longest fetch.', { default: '1s' }),
          }),
          sha256: required(text('Its checksum.')),
          retry_policy: section('Retries.', {
            num_retries: integer('How many.'),
            retry_back_off: section('Pauses.', { base_interval: duration('The first.'), max_interval: duration('The longest.') }),
          }),
        }),
      }),
    }),
  }),
});

const otelAccessLogging = z.strictObject({
  proxy_type: proxyType,
  listener_type: listenerType,
  insert_options: insertOptions,
  config: z.strictObject({
    log_name: text('The name of the log.'),
    grpc_service: required(grpcService),
    buffer_flush_interval: duration('Longest time in the buffer.', { default: "Envoy's 1s" }),
    buffer_size_bytes: integer('Size of the buffer.', { default: '0, not buffered' }),
    filter_state_objects_to_log: textList('Filter state objects to log.'),
    retry_policy: section('Retries.', {
      num_retries: integer('How many.'),
      retry_back_off: section('Pauses.', {
        base_interval: duration('The first.', { default: '1s' }),
        max_interval: duration('The longest.', { default: '30s' }),
      }),
    }),
    body: z.unknown().optional(),
    attributes: z.record(z.string(), z.unknown()).optional(),
    resource_attributes: z.record(z.string(), z.unknown()).optional(),
  }),
});

const propertyOverride = z.strictObject({
  proxy_type: required(proxyType),
  debug: flag('Say more about a path that does not fit.'),
  patches: listOf('Changes, in this order.', {
    resource_filter: z.strictObject({
      resource_type: required(oneOf(['cluster', 'cluster-load-assignment', 'listener', 'route'], 'What is changed.')),
      traffic_direction: required(oneOf(['inbound', 'outbound'], 'On which side.')),
      services: listOf('Only what belongs to these upstreams.', { name: required(name('Its name.')), ...tenancy, peer: text('A cluster peer.') }),
    }),
    op: required(oneOf(['add', 'remove'], 'Set the field, or clear it.')),
    path: required(text('The field, e.g. `/outlier_detection/max_ejection_time/seconds`.')),
    value: z.unknown().optional(),
  }),
});

/** The built-in extensions that adsum applies, and the schema of their arguments. */
export const extensionArguments = {
  'builtin/lua': lua,
  'builtin/ext-authz': extAuthz,
  'builtin/wasm': wasm,
  'builtin/otel-access-logging': otelAccessLogging,
  'builtin/property-override': propertyOverride,
} as const;

export type ExtensionName = keyof typeof extensionArguments;
export type ExtensionArguments<Name extends ExtensionName> = z.output<(typeof extensionArguments)[Name]>;

export type GrpcServiceSettings = NonNullable<z.output<typeof grpcService>>;
export type TargetSettings = NonNullable<z.output<typeof target>>;
export type StringMatchers = z.output<typeof matchers>;
export type InsertOptions = z.output<typeof insertOptions>;

export function isExtensionName(name: string): name is ExtensionName {
  return Object.hasOwn(extensionArguments, name);
}

/** Reads an extension's arguments, in either spelling. */
export function parseExtensionArguments<Name extends ExtensionName>(name: Name, value: unknown): Parsed<ExtensionArguments<Name>> {
  return parserOf(extensionArguments[name])(value ?? {}) as Parsed<ExtensionArguments<Name>>;
}
