import fc from 'fast-check';
import { KEY_SET } from '../simulation/key-set.ts';

/** Random config entries over a handful of names, each sound by itself; what they refer to may be missing, circular or of another protocol. */

/** Names that share prefixes, and some that mean something in a regular expression. */
export const SERVICES = ['a', 'ab', 'b', 'b-a', 'c'] as const;
/** Named, but never registered. */
export const NOBODY = 'x';
export const PROVIDERS = ['idp', 'other'] as const;

const name = fc.constantFrom(...SERVICES, NOBODY);
const nameOrAny = fc.constantFrom(...SERVICES, '*', '*');
const action = fc.constantFrom('allow', 'deny');
const protocol = fc.constantFrom('tcp', 'http', 'http', 'http', 'http2', 'grpc');
const subset = fc.constantFrom('v1', 'v2');

const jwt = fc.record({
  providers: fc.uniqueArray(
    fc.record(
      {
        // `lost` exists in no mesh.
        name: fc.constantFrom(...PROVIDERS, ...PROVIDERS, ...PROVIDERS, 'lost'),
        verify_claims: fc.array(fc.constantFrom({ path: ['role'], value: 'admin' }, { path: ['a', 'b'], value: '1' }), { minLength: 1, maxLength: 2 }),
      },
      { requiredKeys: ['name'] },
    ),
    { minLength: 1, maxLength: 2, selector: (provider) => provider.name },
  ),
});

const sometimesJwt = fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary: jwt, weight: 1 });

const path = fc.oneof(
  fc.record({ path_exact: fc.constantFrom('/', '/p', '/p/q') }),
  fc.record({ path_prefix: fc.constantFrom('/', '/p', '/p/') }),
  fc.record({ path_regex: fc.constantFrom('/p.*', '/[pq]', '/p(/q)?') }),
);
const comparisonOf = <Way extends string>(ways: readonly Way[]) =>
  fc.record(
    {
      name: fc.constantFrom('x-one', 'X-Two'),
      way: fc.constantFrom(...ways),
      value: fc.constantFrom('v', 'V', 'vw'),
      invert: fc.boolean(),
    },
    { requiredKeys: ['name', 'way', 'value'] },
  );
const headerOf = (ways: readonly string[]) =>
  comparisonOf([...ways, 'present']).map(({ way, value, ...header }) => ({ ...header, [way]: way === 'present' ? true : value }));

const permission = fc.record(
  {
    action,
    http: fc
      .record({ path, header: fc.array(headerOf(['exact', 'prefix', 'suffix', 'contains', 'regex']), { maxLength: 2 }), methods: fc.subarray(['GET', 'POST']) })
      .map((match) => ({ ...match.path, header: match.header, methods: match.methods })),
    jwt: sometimesJwt,
  },
  { requiredKeys: ['action', 'http'] },
);

const source = fc.oneof(
  fc.record({ name: nameOrAny, action }),
  fc.record({ name: nameOrAny, permissions: fc.array(permission, { minLength: 1, maxLength: 3 }) }),
);

export const intentions = fc
  .record(
    {
      name: nameOrAny,
      sources: fc.uniqueArray(source, { selector: (one) => one.name, minLength: 1, maxLength: 4 }),
      jwt: sometimesJwt,
    },
    { requiredKeys: ['name', 'sources'] },
  )
  .map((entry) => ({
    kind: 'service-intentions',
    ...entry,
    // Consul takes no permissions for every destination at once.
    sources: entry.sources.map((one) => (entry.name === '*' && 'permissions' in one ? { name: one.name, action: 'allow' } : one)),
  }));

const place = fc.record({ service: name, service_subset: subset }, { requiredKeys: [] });
const elsewhere = fc.oneof(
  fc.record({ service: name, service_subset: subset }, { requiredKeys: ['service'] }),
  fc.record({ service: name, datacenter: fc.constantFrom('dc1', 'dc2') }),
);
const headerChanges = fc.constantFrom({ set: { 'x-set': '1' } }, { add: { 'x-add': '1' }, remove: ['x-gone'] });

const route = fc
  .record(
    {
      match: fc
        .record(
          {
            path,
            case_insensitive: fc.boolean(),
            header: fc.array(headerOf(['exact', 'prefix', 'suffix', 'regex']), { maxLength: 2 }),
            query_param: fc.array(fc.constantFrom({ name: 'q', exact: '1' }, { name: 'q', regex: '[0-9]+' }, { name: 'q', present: true }), { maxLength: 1 }),
            methods: fc.subarray(['GET', 'PUT']),
          },
          { requiredKeys: [] },
        )
        .map(({ path: where, ...match }) => ({ http: { ...where, ...match } })),
      destination: place,
      more: fc.record(
        {
          request_timeout: fc.constantFrom('3s', '-1s'),
          num_retries: fc.constantFrom(1, 3),
          retry_on: fc.constant(['reset']),
          request_headers: headerChanges,
        },
        { requiredKeys: [] },
      ),
      prefix_rewrite: fc.constantFrom('/', '/new'),
    },
    { requiredKeys: [] },
  )
  .map(({ match, destination, more, prefix_rewrite }) => {
    const rewritable = match?.http !== undefined && ('path_prefix' in match.http || 'path_exact' in match.http);
    return {
      ...(match && { match }),
      ...(destination && { destination: { ...destination, ...more, ...(rewritable && prefix_rewrite && { prefix_rewrite }) } }),
    };
  });

export const router = fc.record({ kind: fc.constant('service-router'), name, routes: fc.array(route, { maxLength: 3 }) });

export const splitter = fc
  .record({ name, splits: fc.uniqueArray(place, { minLength: 1, maxLength: 3, selector: (one) => `${one.service}/${one.service_subset}` }) })
  .map((entry) => {
    // A split without a service means the entry's own, which may be there by name as well.
    const splits = [...new Map(entry.splits.map((one) => [`${one.service ?? entry.name}/${one.service_subset ?? ''}`, one])).values()];
    const share = Math.floor(10_000 / splits.length) / 100;
    const rest = Math.round((100 - share * (splits.length - 1)) * 100) / 100;
    return { kind: 'service-splitter', name: entry.name, splits: splits.map((one, index) => ({ ...one, weight: index === 0 ? rest : share })) };
  });

export const SUBSETS = { v1: { filter: 'Service.Meta.version == v1' }, v2: { filter: 'Service.Meta.version == v2', only_passing: true } };
const loadBalancer = fc.constantFrom(
  { policy: 'random' },
  { policy: 'least_request', least_request_config: { choice_count: 3 } },
  { policy: 'ring_hash', hash_policies: [{ field: 'header', field_value: 'x-user' }, { source_ip: true }] },
  { policy: 'maglev', hash_policies: [{ field: 'cookie', field_value: 'c', cookie_config: { session: true } }] },
);

const redirecting = fc.record({ kind: fc.constant('service-resolver'), name, redirect: elsewhere }).filter((entry) => entry.redirect.service !== entry.name);
const resolving = fc
  .record(
    {
      kind: fc.constant('service-resolver'),
      name,
      default_subset: subset,
      failover: fc.dictionary(fc.constantFrom('*', 'v1'), fc.record({ targets: fc.array(elsewhere, { minLength: 1, maxLength: 3 }) }), {
        noNullPrototype: true,
      }),
      load_balancer: loadBalancer,
      connect_timeout: fc.constant('2s'),
      request_timeout: fc.constant('3s'),
    },
    { requiredKeys: ['kind', 'name'] },
  )
  .map((entry) => ({ ...entry, subsets: SUBSETS }));
export const resolver = fc.oneof(redirecting, resolving, resolving);

const tuning = fc.record(
  {
    connect_timeout_ms: fc.constantFrom(900, 5000),
    protocol: fc.constantFrom('tcp', 'http'),
    limits: fc.constant({ max_connections: 5 }),
    passive_health_check: fc.constant({ interval: '5s', max_failures: 2 }),
    balance_outbound_connections: fc.constant('exact_balance'),
  },
  { requiredKeys: [] },
);

/** None is required: one that cannot be applied is left out. */
const extensions = fc.subarray(
  [
    { name: 'builtin/lua', arguments: { Listener: 'inbound', Script: 'function envoy_on_request(handle) end' } },
    { name: 'builtin/lua', arguments: { Listener: 'outbound', Script: 'function envoy_on_response(handle) end' } },
    { name: 'builtin/ext-authz', arguments: { Config: { HttpService: { Target: { URI: 'localhost:9000' } } } } },
    { name: 'builtin/ext-authz', arguments: { Config: { GrpcService: { Target: { Service: { Name: 'b' } } } } } },
    {
      name: 'builtin/property-override',
      arguments: {
        ProxyType: 'connect-proxy',
        Patches: [{ ResourceFilter: { ResourceType: 'cluster', TrafficDirection: 'outbound' }, Op: 'add', Path: '/connect_timeout/nanos', Value: 500_000_000 }],
      },
    },
    {
      name: 'builtin/property-override',
      arguments: {
        ProxyType: 'connect-proxy',
        Patches: [{ ResourceFilter: { ResourceType: 'listener', TrafficDirection: 'inbound' }, Op: 'add', Path: '/no/such/field', Value: 1 }],
      },
    },
  ],
  { maxLength: 2 },
);

export const serviceDefaults = fc.record(
  {
    kind: fc.constant('service-defaults'),
    name,
    protocol,
    mutual_tls_mode: fc.constantFrom('permissive', 'strict'),
    max_inbound_connections: fc.constant(7),
    envoy_extensions: fc.oneof({ arbitrary: fc.constant([]), weight: 3 }, { arbitrary: extensions, weight: 1 }),
    external_sni: fc.constantFrom('', '', '', '', 'outside.example'),
    upstream_config: fc.record({ defaults: tuning, overrides: tuning.map((settings) => [{ name: 'b', ...settings }]) }, { requiredKeys: [] }),
  },
  { requiredKeys: ['kind', 'name'] },
);

/** Names for addresses outside; kept apart from services, as in any sound mesh. */
export const destinations = fc.record({
  kind: fc.constant('service-defaults'),
  name: fc.constantFrom('out-1', 'out-2', 'out-3'),
  protocol: fc.constantFrom('tcp', 'http'),
  destination: fc.record({
    addresses: fc.subarray(['203.0.113.1', '203.0.113.2', 'one.example', 'two.example'], { minLength: 1 }),
    port: fc.constantFrom(80, 443),
  }),
});

export const proxyDefaults = fc.record(
  {
    kind: fc.constant('proxy-defaults'),
    name: fc.constant('global'),
    config: fc.record({ protocol: fc.constantFrom('http', 'http', 'http', 'grpc', 'tcp'), local_connect_timeout_ms: fc.constant(1000) }, { requiredKeys: [] }),
    mode: fc.constantFrom('transparent', 'direct'),
    access_logs: fc.constantFrom(
      { enabled: true },
      { enabled: true, type: 'file', path: '/dev/null', text_format: '%START_TIME%' },
      { enabled: true, disable_listener_logs: true, json_format: '{ "start": "%START_TIME%" }' },
    ),
    transparent_proxy: fc.record(
      { dialed_directly: fc.constantFrom(false, false, true), outbound_listener_port: fc.constantFrom(15001, 15101) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['kind', 'name'] },
);

export const meshEntry = fc.record(
  {
    kind: fc.constant('mesh'),
    transparent_proxy: fc.record({ mesh_destinations_only: fc.boolean() }),
    allow_enabling_permissive_mutual_tls: fc.boolean(),
    validate_clusters: fc.boolean(),
    tls: fc.constant({ incoming: { tls_min_version: 'TLSv1_2' }, outgoing: { tls_max_version: 'TLSv1_3' } }),
    http: fc.record(
      {
        sanitize_x_forwarded_client_cert: fc.boolean(),
        incoming: fc.constant({ request_normalization: { merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' } }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['kind'] },
);

export const jwtProviders = fc.subarray([...PROVIDERS], { minLength: 0 }).map((names) =>
  names.map((one) => ({
    kind: 'jwt-provider',
    name: one,
    issuer: `https://${one}.example`,
    json_web_key_set: one === 'idp' ? { local: { jwks: KEY_SET } } : { remote: { uri: `https://${one}.example/keys`, cache_duration: '5m' } },
  })),
);

export const terminatingGateway = fc.record({
  kind: fc.constant('terminating-gateway'),
  name: fc.constant('egress'),
  services: fc.uniqueArray(fc.constantFrom('out-1', 'out-2', 'c', '*'), { minLength: 1 }).map((names) => names.map((one) => ({ name: one }))),
});
