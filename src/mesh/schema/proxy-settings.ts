import { duration, flag, freeMap, integer, listOf, oneOf, port, required, section, text, textList } from './field.ts';

/** Settings that proxy-defaults, service-defaults and a proxy's registration share, under the same names in each. */

export const proxyMode = oneOf(
  ['direct', 'transparent'],
  "How the application's traffic reaches the proxy: it dials the proxy's own listeners, or its traffic is captured. The registration wins over service-defaults, that over proxy-defaults.",
  { default: 'direct' },
);

export const mutualTlsMode = oneOf(
  ['strict', 'permissive'],
  'Whether inbound connections must use mutual TLS. `permissive` also lets plain ones in on the service port, and only where the mesh entry allows it.',
  { default: 'strict' },
);

export const transparentProxy = section('Settings of transparent mode.', {
  outbound_listener_port: port("Where the proxy listens for the application's captured outbound traffic.", { default: '15001' }),
  dialed_directly: flag('Callers may dial the instances of this service by their own addresses; such connections are TCP, without routing.'),
});

export const meshGateway = section('Whether connections to another datacenter go through mesh gateways.', {
  mode: oneOf(['none', 'local', 'remote'], "Not at all, through the caller's own gateways, or through those of the destination's datacenter.", {
    default: 'none',
  }),
});

export const expose = section('Paths that are reachable without mutual TLS, for health checks and metrics.', {
  checks: flag('Expose every HTTP and gRPC check of a service that is registered with the agent, on ports from 21500 to 21755.'),
  paths: listOf(
    'Paths to expose.',
    {
      listener_port: port('Where the proxy listens for it.'),
      path: text('The path, e.g. `/healthz`.'),
      local_path_port: port('Where the application serves it.'),
      protocol: oneOf(['http', 'http2'], 'What the application speaks there.', { default: 'http' }),
    },
    ['parsed_from_check'],
  ),
});

export const accessLogs = section('Access logs of every listener of the proxy.', {
  enabled: flag('Write access logs.'),
  disable_listener_logs: flag('Leave out connections that no filter chain wanted.'),
  type: oneOf(['stdout', 'stderr', 'file'], 'Where they go.', { default: 'stdout' }),
  path: text('The file, with type `file`.'),
  json_format: text('A JSON object, as text, whose values are Envoy command operators.'),
  text_format: text('A line of Envoy command operators.'),
});

export const envoyExtensions = listOf("Changes to the proxy's configuration by a named extension, in this order.", {
  name: required(text('`builtin/lua`, `builtin/ext-authz`, `builtin/property-override`, `builtin/wasm`, `builtin/otel-access-logging`.')),
  required: flag('Without it, an extension that cannot be applied is left out and the rest is served.'),
  arguments: freeMap('What the extension takes; keys keep their spelling.'),
  consul_version: text('Apply only with Consul versions in this range.'),
  envoy_version: text('Apply only to Envoy versions in this range.'),
});

export const failoverPolicy = section('How failover targets are ordered. Parsed; without effect.', {
  mode: oneOf(['sequential', 'order-by-locality'], 'In the order of writing, or by distance.', { default: 'sequential' }),
  regions: textList('Regions, nearest first.'),
});

export const prioritizeByLocality = section('Prefer instances nearby. A feature of Consul Enterprise: parsed, without effect.', {
  mode: oneOf(['none', 'failover'], 'Whether to fail over by locality.', { default: 'none' }),
});

export const limits = section('Circuit breaker limits towards an upstream.', {
  max_connections: integer('Most connections at a time.', { default: "Envoy's 1024" }),
  max_pending_requests: integer('Most requests waiting for a connection.', { default: "Envoy's 1024" }),
  max_concurrent_requests: integer('Most requests in flight.', { default: "Envoy's 1024" }),
});

export const passiveHealthCheck = section('When to take an instance out for the errors it gave. An empty section turns this on with the defaults.', {
  interval: duration('Between two looks at the counters.', { default: "Envoy's 10s" }),
  max_failures: integer('Consecutive failures after which an instance is ejected.', { default: "Envoy's 5" }),
  enforcing_consecutive_5xx: integer('Chance that an instance is really ejected after them.', { unit: 'percent', default: '100', max: 100 }),
  max_ejection_percent: integer('Largest part of the instances that may be ejected at a time.', { unit: 'percent', default: "Envoy's 10", max: 100 }),
  base_ejection_time: duration('Length of the first ejection; each further one is longer by as much.', { default: "Envoy's 30s" }),
});
