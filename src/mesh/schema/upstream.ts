import type { z } from 'zod';
import { enterpriseOnly, freeMap, integer, listOf, name, oneOf, port, protocol, required, section, tenancy, text } from './field.ts';
import { limits, meshGateway, passiveHealthCheck } from './proxy-settings.ts';

/** Tuning of connections to an upstream, as service-defaults has it and as an explicit upstream's `config` does. */
const tuning = {
  protocol: protocol("What the upstream speaks; the upstream's own service-defaults is the better place.", { default: "the upstream's" }),
  connect_timeout_ms: integer('How long a connection may take to come about.', { unit: 'ms', default: '5000' }),
  limits,
  passive_health_check: passiveHealthCheck,
  mesh_gateway: meshGateway,
  balance_outbound_connections: oneOf(['exact_balance'], "Spread connections evenly over Envoy's worker threads.", { default: 'not balanced' }),
  envoy_listener_json: text("An Envoy listener in JSON to use instead of the upstream's own."),
  envoy_cluster_json: text("An Envoy cluster in JSON to use instead of the upstream's own."),
};

/** `upstream_config.defaults` of service-defaults. */
export const upstreamDefaults = section('For every upstream of the service.', { ...tuning, ...tenancy });

/** `upstream_config.overrides` of service-defaults. */
export const upstreamOverrides = listOf('For one upstream each; wins over `defaults`.', {
  name: required(name('The upstream service.')),
  ...tenancy,
  peer: text('The cluster peer the upstream is imported from.'),
  ...tuning,
});

/** What `config` of an explicit upstream means, beside keys of the user's own. */
export const upstreamTuning = required(
  section('Tuning of one explicit upstream.', {
    ...tuning,
    connect_timeout_ms: integer('How long a connection may take to come about.', { unit: 'ms' }),
    idle_timeout_ms: integer('How long a TCP connection may be silent.', { unit: 'ms' }),
  }),
);

/** An upstream the proxy has a listener of its own for. */
export const upstreams = listOf(
  'Services with a listener of their own on this proxy.',
  {
    destination_type: oneOf(['service', 'prepared_query'], 'What `destination_name` names.', { default: 'service' }),
    destination_name: required(name('The service or the prepared query.')),
    destination_namespace: enterpriseOnly('namespace'),
    destination_partition: enterpriseOnly('partition'),
    destination_peer: text('The cluster peer the service is imported from.'),
    datacenter: text('Another datacenter.', { default: 'the own one' }),
    local_bind_address: text('Where the proxy listens for it.', { default: '127.0.0.1' }),
    local_bind_port: port('The port it listens on; this or a socket is needed.'),
    local_bind_socket_path: text('A Unix socket to listen on instead.'),
    local_bind_socket_mode: text('Its permissions, in octal.'),
    config: freeMap('Tuning: `protocol`, `connect_timeout_ms`, `limits`, `passive_health_check`, `envoy_listener_json`, …'),
    mesh_gateway: meshGateway,
  },
  ['centrally_configured', 'ingress_hosts'],
);

export type UpstreamTuning = z.output<typeof upstreamTuning>;
export type Upstream = z.output<typeof upstreams>[number];
export type Limits = NonNullable<z.output<typeof limits>>;
