import fc from 'fast-check';
import {
  FREE_CHAIN_FIELDS,
  FREE_LISTENER_FIELDS,
  FREE_MANAGER_FIELDS,
  GUARDED_LISTENER_FIELDS,
  REFUSED_CHAIN_FIELDS,
  REFUSED_LISTENER_FIELDS,
  REFUSED_MANAGER_FIELDS,
} from '../../src/envoy/guard/api-fields.ts';
import type { Mesh } from '../../src/mesh/mesh.ts';
import { buildTopology } from '../../src/topology/build-topology.ts';
import { type ProxyTuning, resolveProxyTuning } from '../../src/topology/proxy-tuning.ts';
import type { ProxyView } from '../../src/topology/proxy-view.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { parseMesh, virtualIpsOf } from '../simulation/parse-mesh.ts';

/** Settings by which the owner of a service, or a slip of the pen, might open its application: hatches and arguments of extensions. */

export interface Hostile {
  /** Index into `VIEWS`. */
  readonly view: number;
  readonly extensions: readonly object[];
  readonly config: Readonly<Record<string, string>>;
  readonly upstream: Readonly<Record<string, string>>;
}

const SIDECAR_PORT = 21_000;
const API = 'type.googleapis.com/envoy.extensions.filters';

/** The sidecar of `api` in several meshes; in each `web` may not call it. */
export const VIEWS: readonly ProxyView[] = [
  ['tcp', 'deny', []],
  ['http', 'deny', []],
  ['http', 'allow', [{ name: 'web', action: 'deny' }]],
  ['tcp', 'allow', [{ name: 'web', action: 'deny' }]],
  ['grpc', 'deny', [{ name: 'other', action: 'allow' }]],
  [
    'http',
    'deny',
    [
      {
        name: 'web',
        permissions: [
          { action: 'deny', http: { path_prefix: '/secret' } },
          { action: 'allow', http: { path_prefix: '/' } },
        ],
      },
    ],
  ],
].map(([protocol, policy, sources]) => viewOf(protocol as string, policy as string, sources as object[]));

function viewOf(protocol: string, policy: string, sources: object[]): ProxyView {
  const sidecar = (more: object) => ({ sidecar_service: { proxy: { mode: 'transparent', ...more } } });
  const upstreams = [{ destination_name: 'db', local_bind_address: '0.0.0.0', local_bind_port: 5432 }];
  const expose = { paths: [{ path: '/metrics', local_path_port: 9090, listener_port: 21_500, protocol: 'http' }] };
  const mesh: Mesh = parseMesh({
    trust_domain: 't.consul',
    default_intention_policy: policy,
    nodes: [
      { name: 'n1', address: '10.0.0.1', services: [{ name: 'api', port: 9090, connect: sidecar({ upstreams, expose }) }] },
      { name: 'n2', address: '10.0.0.2', services: [{ name: 'web', port: 8080, connect: sidecar({}) }] },
      {
        name: 'n3',
        address: '10.0.0.3',
        services: [
          { name: 'db', port: 5432, connect: sidecar({}) },
          { name: 'other', port: 81, connect: sidecar({}) },
        ],
      },
    ],
    config_entries: [
      { kind: 'service-defaults', name: 'api', protocol },
      { kind: 'service-intentions', name: 'db', sources: [{ name: 'api', action: 'allow' }] },
      ...(sources.length > 0 ? [{ kind: 'service-intentions', name: 'api', sources }] : []),
    ],
  });
  const topology = buildTopology(mesh, { trustDomain: 't.consul', virtualIps: virtualIpsOf(mesh) });
  const instance = mesh.instances.find(({ id }) => id === 'api-sidecar-proxy');
  if (!instance) throw new Error('no sidecar of api');
  return resolveProxyView(topology, instance);
}

/** The view with the settings in it, as resolving them would have done. */
export function withSettings({ view, extensions, config, upstream }: Hostile): ProxyView {
  const base = VIEWS[view % VIEWS.length] as ProxyView;
  const set = Object.entries(resolveProxyTuning(config)).filter(([, value]) => value !== undefined);
  const tuning: Partial<ProxyTuning> = Object.fromEntries(set);
  return {
    ...base,
    context: { ...base.context, listenerTracingJson: tuning.listenerTracingJson },
    inbound: { ...base.inbound, tuning: { ...base.inbound.tuning, ...tuning } },
    envoyExtensions: extensions as ProxyView['envoyExtensions'],
    upstreams: base.upstreams.map((one) => ({ ...one, settings: { ...one.settings, ...upstream } })),
  };
}

// Envoy configuration, as somebody would write it who wants in.

const CLUSTERS = [
  'local_app',
  'exposed_cluster_9090',
  'original-destination',
  'local_ext_authz',
  'local_access_log',
  'db.default.dc1.internal.t.consul',
  'denied',
  'mine',
];
const cluster = fc.constantFrom(...CLUSTERS);
const anyOf = (type: string, fields: fc.Arbitrary<object>) => fields.map((more) => ({ '@type': `${API}.${type}`, ...more }));
const named = (name: string, config: fc.Arbitrary<object>) => config.map((typed_config) => ({ name, typed_config }));
const rbacOverride = fc.constantFrom<object>(
  { '@type': `${API}.http.rbac.v3.RBACPerRoute` },
  { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true },
  { '@type': `${API}.http.rbac.v3.RBACPerRoute`, rbac: { rules: { policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } } } },
);
const overrides = fc.option(
  rbacOverride.map((override) => ({ typed_per_filter_config: { 'envoy.filters.http.rbac': override } })),
  { nil: {}, freq: 2 },
);

const routeAction = fc.oneof(
  { weight: 4, arbitrary: cluster.map((name): object => ({ cluster: name })) },
  fc.constant({ cluster_header: 'x-cluster' }),
  fc.tuple(cluster, overrides).map(([name, more]): object => ({ weighted_clusters: { clusters: [{ name, weight: 1, ...more }] } })),
  fc.tuple(cluster, cluster).map(([name, mirror]): object => ({ cluster: name, request_mirror_policies: [{ cluster: mirror }] })),
);
const route = fc.tuple(routeAction, overrides).map(([action, more]) => ({ match: { prefix: '/' }, route: action, ...more }));
const virtualHost = fc.tuple(route, overrides).map(([one, more]) => ({ name: 'v', domains: ['*'], routes: [one], ...more }));
const routeConfig = fc
  .tuple(fc.constantFrom('r', 'db', 'public_listener'), virtualHost, overrides, fc.boolean())
  .map(([name, host, more, vhds]) => ({ name, virtual_hosts: [host], ...more, ...(vhds && { vhds: { config_source: { ads: {} } } }) }));

const allowAll = { rules: { policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } } };
const httpFilter = fc.oneof(
  named('envoy.filters.http.rbac', anyOf('http.rbac.v3.RBAC', fc.constantFrom<object>({}, allowAll, { rules: {} }))),
  named(
    'envoy.filters.http.lua',
    anyOf('http.lua.v3.Lua', fc.constant({ default_source_code: { inline_string: 'function envoy_on_request(h) h:respond({}, "x") end' } })),
  ),
  fc.constant({ name: 'envoy.filters.http.grpc_stats', typed_config: { '@type': `${API}.http.grpc_stats.v3.FilterConfig`, stats_for_all_methods: true } }),
  fc.constant({ name: 'dyn', config_discovery: { config_source: { path_config_source: { path: '/tmp/f' } }, type_urls: [`${API}.http.rbac.v3.RBAC`] } }),
);
const router = { name: 'envoy.filters.http.router', typed_config: { '@type': `${API}.http.router.v3.Router` } };
const routes = fc.oneof(
  { weight: 4, arbitrary: routeConfig.map((config): object => ({ route_config: config })) },
  fc.constant<object>({ rds: { route_config_name: 'db', config_source: { ads: {}, resource_api_version: 'V3' } } }),
  fc.constant<object>({ rds: { route_config_name: 'db', config_source: { path_config_source: { path: '/tmp/r' } } } }),
);
const managerMore = fc.oneof(
  { weight: 4, arbitrary: fc.constant<object>({}) },
  fc.constant<object>({ upgrade_configs: [{ upgrade_type: 'websocket', filters: [router] }] }),
  fc.constant<object>({ normalize_path: false }),
  fc.constant<object>({ path_with_escaped_slashes_action: 'KEEP_UNCHANGED', merge_slashes: false }),
);
const manager = fc
  .tuple(routes, fc.array(httpFilter, { maxLength: 2 }), managerMore)
  .map(([where, filters, more]) => ({ stat_prefix: 'x', ...where, http_filters: [...filters, router], ...more }));

const networkFilter = fc.oneof(
  {
    weight: 3,
    arbitrary: named(
      't',
      anyOf(
        'network.tcp_proxy.v3.TcpProxy',
        cluster.map((name) => ({ stat_prefix: 'x', cluster: name })),
      ),
    ),
  },
  named(
    't',
    anyOf(
      'network.tcp_proxy.v3.TcpProxy',
      cluster.map((name) => ({ stat_prefix: 'x', weighted_clusters: { clusters: [{ name, weight: 1 }] } })),
    ),
  ),
  { weight: 3, arbitrary: named('h', anyOf('network.http_connection_manager.v3.HttpConnectionManager', manager)) },
  named('envoy.filters.network.rbac', anyOf('network.rbac.v3.RBAC', fc.constantFrom<object>({ stat_prefix: 'x' }, { stat_prefix: 'x', ...allowAll }))),
  fc.constant({ name: 's', typed_config: { '@type': `${API}.network.sni_cluster.v3.SniCluster` } }),
  fc.constant({
    name: 'dyn',
    config_discovery: { config_source: { path_config_source: { path: '/tmp/f' } }, type_urls: [`${API}.network.tcp_proxy.v3.TcpProxy`] },
  }),
);

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const sds = (name: string, config: object = { ads: {}, resource_api_version: 'V3' }) => ({ name, sds_config: config });
const downstreamTls = fc
  .tuple(
    fc.boolean(),
    fc.constantFrom<object>(sds('roots'), sds('callers'), sds('leaf'), sds('roots', { path_config_source: { path: '/tmp/s' } })),
    fc.boolean(),
  )
  .map(([required, validation, resumes]) => ({
    '@type': `${TLS}.DownstreamTlsContext`,
    ...(required && { require_client_certificate: true }),
    ...(resumes && { disable_stateless_session_resumption: true }),
    common_tls_context: { tls_params: {}, tls_certificate_sds_secret_configs: [sds('leaf')], validation_context_sds_secret_config: validation },
  }));
const transportSocket = fc.oneof(
  fc.constant<object | undefined>(undefined),
  downstreamTls.map((typed_config): object => ({ name: 'tls', typed_config })),
  fc.constant<object>({ name: 'raw', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' } }),
);
const filterChain = fc
  .tuple(
    fc.array(networkFilter, { minLength: 1, maxLength: 3 }),
    transportSocket,
    fc.option(fc.constantFrom<object>({ destination_port: 9090 }, { transport_protocol: 'raw_buffer' }), { nil: undefined }),
  )
  .map(([filters, socket, match]) => ({ filters, ...(socket && { transport_socket: socket }), ...(match && { filter_chain_match: match }) }));

const address = fc.constantFrom<object>(
  { socket_address: { address: '0.0.0.0', port_value: SIDECAR_PORT } },
  { socket_address: { address: '0.0.0.0', port_value: 9999 } },
  { socket_address: { address: '127.0.0.1', port_value: 7777 } },
  { socket_address: { address: '0.0.0.0', port_value: 9999, protocol: 'UDP' } },
  { envoy_internal_address: { server_listener_name: 'inner' } },
);
const listenerMore = fc.constantFrom<object>(
  {},
  {},
  {},
  { use_original_dst: true },
  { internal_listener: {} },
  { udp_listener_config: {} },
  { traffic_direction: 'OUTBOUND' },
);
const listenerName = fc.constantFrom(
  'public_listener:0.0.0.0:21000',
  'mine',
  'exposed_path_metrics:0.0.0.0:21500',
  'outbound_listener:127.0.0.1:15001',
  'db:0.0.0.0:5432',
);
const listener = fc
  .tuple(listenerName, address, fc.array(filterChain, { maxLength: 2 }), fc.option(filterChain, { nil: undefined }), listenerMore)
  .map(([name, where, chains, fallback, more]) => ({
    name,
    address: where,
    filter_chains: chains,
    ...(fallback && { default_filter_chain: fallback }),
    ...more,
  }));

const application = {
  cluster_name: 'x',
  endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 9090 } } } }] }],
};
const clusterFields: readonly [string, fc.Arbitrary<unknown>][] = [
  ['type', fc.constantFrom('STATIC', 'ORIGINAL_DST', 'EDS')],
  ['load_assignment', fc.constant(application)],
  [
    'transport_socket',
    fc.constantFrom<unknown>(
      { name: 'raw', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' } },
      { name: 'tls', typed_config: { '@type': `${TLS}.UpstreamTlsContext` } },
    ),
  ],
  [
    'transport_socket_matches',
    fc.constant([
      {
        name: 'raw',
        match: {},
        transport_socket: { name: 'raw', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' } },
      },
    ]),
  ],
  [
    'cluster_type',
    cluster.map((name) => ({
      name: 'envoy.clusters.aggregate',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig', clusters: [name] },
    })),
  ],
  ['lb_policy', fc.constantFrom('ROUND_ROBIN', 'CLUSTER_PROVIDED')],
  ['original_dst_lb_config', fc.constant({ use_http_header: true })],
];
const clusterJson = fc
  .tuple(fc.constantFrom(...CLUSTERS), fc.subarray(clusterFields.map(([field]) => field)), fc.tuple(...clusterFields.map(([, values]) => values)))
  .map(([name, fields, values]) => ({
    name,
    ...Object.fromEntries(fields.map((field) => [field, values[clusterFields.findIndex(([one]) => one === field)]])),
  }));

// Patches: each field of the API, with a value of its kind where there is one.

const chainFields = [...FREE_CHAIN_FIELDS, ...REFUSED_CHAIN_FIELDS, 'filters', 'transport_socket'];
const listenerFields: readonly [string, fc.Arbitrary<unknown>][] = [
  ['filter_chains', fc.array(filterChain, { maxLength: 2 })],
  ['filterChains', fc.array(filterChain, { maxLength: 2 })],
  ['default_filter_chain', filterChain],
  ['defaultFilterChain', filterChain],
  ['default_filter_chain/transport_socket', transportSocket],
  ['default_filter_chain/filters', fc.array(networkFilter, { maxLength: 2 })],
  ['address', address],
  ['address/socket_address/address', fc.constantFrom('0.0.0.0', '::')],
  ['listener_filters', fc.constant([])],
  ['name', listenerName],
  ['additional_addresses', address.map((one) => [{ address: one }])],
  ...[...FREE_LISTENER_FIELDS, ...GUARDED_LISTENER_FIELDS, ...REFUSED_LISTENER_FIELDS].map((field): [string, fc.Arbitrary<unknown>] => [
    field,
    fc.constantFrom<unknown>(true, {}, [], 1, 'x'),
  ]),
  ...chainFields.map((field): [string, fc.Arbitrary<unknown>] => [`default_filter_chain/${field}`, fc.constantFrom<unknown>(true, {}, [], 1, 'x')]),
  ...[...FREE_MANAGER_FIELDS, ...REFUSED_MANAGER_FIELDS].map((field): [string, fc.Arbitrary<unknown>] => [field, fc.constantFrom<unknown>(true, {})]),
];
const routeFields: readonly [string, fc.Arbitrary<unknown>][] = [
  ['virtual_hosts', virtualHost.map((host) => [host])],
  ['typed_per_filter_config', rbacOverride.map((override) => ({ 'envoy.filters.http.rbac': override }))],
  ['vhds', fc.constant({ config_source: { ads: {} } })],
];
const endpointFields: readonly [string, fc.Arbitrary<unknown>][] = [['endpoints', fc.constant(application.endpoints)]];

const RESOURCES: readonly [string, readonly [string, fc.Arbitrary<unknown>][]][] = [
  ['listener', listenerFields],
  ['listener', listenerFields.slice(0, 11)],
  ['cluster', clusterFields],
  ['route', routeFields],
  ['cluster-load-assignment', endpointFields],
];

const patch = fc
  .constantFrom(...RESOURCES)
  .chain(([resource_type, fields]) =>
    fc
      .tuple(fc.constantFrom(...fields), fc.constantFrom('inbound', 'outbound'), fc.constantFrom('add', 'add', 'add', 'remove'))
      .chain(([[field, values], traffic_direction, op]) =>
        values.map((value) => ({ resource_filter: { resource_type, traffic_direction, services: [] }, op, path: `/${field}`, ...(op === 'add' && { value }) })),
      ),
  );

const insertOptions = fc.option(
  fc.record({
    location: fc.constantFrom('First', 'Last', 'BeforeFirstMatch', 'AfterFirstMatch', 'BeforeLastMatch', 'AfterLastMatch'),
    filter_name: fc.constantFrom(
      'envoy.filters.http.rbac',
      'envoy.filters.network.rbac',
      'envoy.filters.http.router',
      'envoy.filters.network.tcp_proxy',
      'nope',
    ),
  }),
  { nil: undefined },
);
const direction = fc.constantFrom('inbound', 'outbound');
const target = fc.constantFrom<object>({ uri: '127.0.0.1:9090' }, { uri: 'localhost:7000' }, { service: { name: 'db' } });
const extension = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .array(patch, { minLength: 1, maxLength: 3 })
      .map((patches): [string, object] => ['builtin/property-override', { proxy_type: 'connect-proxy', patches }]),
  },
  direction.map((listener_): [string, object] => ['builtin/lua', { listener: listener_, script: 'function envoy_on_request(h) end' }]),
  fc
    .tuple(direction, insertOptions, target, fc.boolean())
    .map(([listener_type, insert_options, to, grpc]): [string, object] => [
      'builtin/ext-authz',
      { listener_type, ...(insert_options && { insert_options }), config: grpc ? { grpc_service: { target: to } } : { http_service: { target: to } } },
    ]),
  fc.tuple(direction, insertOptions).map(([listener_type, insert_options]): [string, object] => [
    'builtin/wasm',
    {
      protocol: 'http',
      listener_type,
      ...(insert_options && { insert_options }),
      plugin_config: { vm_config: { code: { local: { filename: '/x.wasm' } } } },
    },
  ]),
  fc
    .tuple(direction, target)
    .map(([listener_type, to]): [string, object] => ['builtin/otel-access-logging', { listener_type, config: { grpc_service: { target: to } } }]),
);

const hatches = <Key extends string>(values: Readonly<Record<Key, fc.Arbitrary<object>>>): fc.Arbitrary<Record<string, string>> =>
  fc.record(Object.fromEntries(Object.entries<fc.Arbitrary<object>>(values).map(([key, value]) => [key, value.map((json) => JSON.stringify(json))])), {
    requiredKeys: [],
  }) as fc.Arbitrary<Record<string, string>>;

export const hostileSettings: fc.Arbitrary<Hostile> = fc.record({
  view: fc.nat(VIEWS.length - 1),
  extensions: fc.array(
    fc.tuple(extension, fc.boolean()).map(([[name, args], required]) => ({ name, arguments: args, required })),
    { maxLength: 3 },
  ),
  config: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, hatches({ envoy_public_listener_json: listener, envoy_local_cluster_json: clusterJson })),
  upstream: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, hatches({ envoy_listener_json: listener, envoy_cluster_json: clusterJson })),
});
