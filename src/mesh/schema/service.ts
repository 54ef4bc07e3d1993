import { z } from 'zod';
import { duration, flag, freeMap, integer, listOf, NAME_PATTERN, name, oneOf, port, required, section, tenancy, text, textList, textMap } from './field.ts';
import { accessLogs, envoyExtensions, expose, meshGateway, mutualTlsMode, proxyMode, transparentProxy } from './proxy-settings.ts';
import { upstreams } from './upstream.ts';

/** The `proxy` section of a registration. */
const proxyShape = {
  destination_service_name: name('The service the proxy stands for.'),
  destination_service_id: text('Its instance.'),
  local_service_address: text('Where the proxy reaches the application.', { default: '127.0.0.1' }),
  local_service_port: port("The application's port.", { default: "the service's" }),
  local_service_socket_path: text("The application's Unix socket, instead of an address."),
  mode: proxyMode,
  transparent_proxy: transparentProxy,
  mutual_tls_mode: mutualTlsMode,
  config: freeMap('Settings for Envoy: `protocol`, `bind_port`, `local_connect_timeout_ms`, `envoy_public_listener_json`, …'),
  upstreams,
  mesh_gateway: meshGateway,
  expose,
  access_logs: accessLogs,
  envoy_extensions: envoyExtensions,
};

const proxy = section('Settings of the proxy.', proxyShape);

const checkShape = {
  id: text('Its ID.', { default: '`service:<id>`' }),
  check_id: text('Another name of `id`.'),
  name: text('Its name.'),
  status: oneOf(['passing', 'warning', 'critical'], 'What counts: adsum runs no checks itself.', { default: 'critical' }),
  notes: text('For people.'),
  output: text('The last output, for people.'),
  type: text('The kind of check, for people.'),
  http: text('URL of an HTTP check; `expose.checks` exposes its path.'),
  h2ping: text('Address of an HTTP/2 ping.'),
  h2ping_use_tls: flag('With TLS.', { default: 'true' }),
  grpc: text('Address of a gRPC health check; `expose.checks` exposes it.'),
  grpc_use_tls: flag('With TLS.'),
  tcp: text('Address of a TCP check.'),
  tcp_use_tls: flag('With TLS.'),
  udp: text('Address of a UDP check.'),
  os_service: text('A service of the operating system.'),
  header: z.record(z.string(), z.array(z.string())).meta({ description: 'Headers of an HTTP check.' }).optional(),
  method: text('Method of an HTTP check.', { default: 'GET' }),
  body: text('Body of an HTTP check.'),
  disable_redirects: flag('Do not follow redirects.'),
  tls_server_name: text('SNI of a TLS check.'),
  tls_skip_verify: flag('Do not verify the certificate.'),
  args: textList('The command of a script check.'),
  script_args: textList('Another name of `args`.'),
  docker_container_id: text('Run the command in this container.'),
  shell: text('The shell in the container.'),
  interval: duration('Between two runs.'),
  timeout: duration('Longest run.'),
  ttl: duration('How long a status reported to the agent holds.'),
  alias_node: text('Copies the status of this node.'),
  alias_service: text('Copies the status of this service.'),
  success_before_passing: integer('Successes before the status improves.'),
  failures_before_warning: integer('Failures before `warning`.'),
  failures_before_critical: integer('Failures before `critical`.'),
  deregister_critical_service_after: duration('Deregister after so long in `critical`.'),
  output_max_size: integer('Longest output kept.', { unit: 'bytes' }),
};

const check = section('One check.', checkShape);
const checks = listOf('Checks; the worst status is the health.', checkShape);

const taggedAddresses = z
  .record(z.string(), z.strictObject({ address: required(text('IP address or host name.')), port: port('Its port.', { default: "the service's" }).default(0) }))
  .meta({ description: 'Further addresses: `lan`, `wan`, `virtual`, …' })
  .optional();

const weights = section('Share of the load by health.', {
  passing: integer('While passing.', { default: '1', max: 65_535 }),
  warning: integer('While in warning.', { default: '1', max: 65_535 }),
});

const registrationShape = {
  name: name('Its name.'),
  port: port('Where it listens.'),
  address: text('IP address or host name.', { default: "the node's" }),
  socket_path: text('A Unix socket instead of a port.'),
  tags: textList('Tags.'),
  meta: textMap("The user's own keys and values; a resolver's subsets filter by them."),
  tagged_addresses: taggedAddresses,
  weights,
  check,
  checks,
  enable_tag_override: flag('Others than the agent may change the tags.'),
  token: text('Parsed, not used.'),
  locality: section('Where it runs.', { region: text('Region.'), zone: text('Zone.') }),
  ...tenancy,
  proxy,
};

/** Sidecars are numbered and named by the agent, so a sidecar has neither an ID nor a sidecar of its own. */
const sidecarService = section(
  'Registers a sidecar beside the service: `<id>-sidecar-proxy`, on the first free port from 21000 unless one is given.',
  registrationShape,
);

/** A service as a Consul agent takes it. */
export const serviceDefinition = z.strictObject({
  ...registrationShape,
  name: required(name('Its name.')),
  id: text('Unique on its node.', { default: 'the name' }),
  kind: oneOf(['connect-proxy', 'mesh-gateway', 'terminating-gateway', 'ingress-gateway', 'api-gateway'], 'Absent for an ordinary service.'),
  connect: section('Its place in the mesh.', {
    native: flag('Speaks mutual TLS itself and needs no sidecar.'),
    sidecar_service: sidecarService,
  }),
});

const nodeName = z
  .string()
  .refine((value) => NAME_PATTERN.test(value), { error: 'not a valid node name', params: { code: 'invalid-name' } })
  .meta({ description: 'Unique in the mesh; entries of the same name are one node.' });

/** A node of the mesh file: what is in the catalog about one machine. */
export const nodeDefinition = z.strictObject({
  name: nodeName,
  address: text("The machine's IP address; may be left out where another entry of the same node gives it."),
  meta: textMap("The user's own keys and values."),
  tagged_addresses: textMap('Further addresses: `lan`, `wan`, …'),
  checks: listOf('Checks of the node; they count for every service on it.', checkShape),
  agent_local: flag('Its services are registered with the agent, which therefore knows their check definitions.'),
  locality: section('Where it runs.', { region: text('Region.'), zone: text('Zone.') }),
  ...tenancy,
  /** Parsed one by one with `serviceDefinition`, so that a defect in one hides none in another. */
  services: z.array(z.unknown()).meta({ description: 'The services on it.' }).default([]),
});

/** The `proxy` section alone: a catalog has it without the rest of a definition. */
export const sidecarProxySchema = required(proxy);

/** The `proxy` section of a registration, parsed. */
export type SidecarProxy = z.output<typeof sidecarProxySchema>;
export type ServiceDefinition = z.output<typeof serviceDefinition>;
export type CheckSettings = NonNullable<z.output<typeof check>>;
export type NodeDefinition = z.output<typeof nodeDefinition>;
