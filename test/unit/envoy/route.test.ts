import { describe, expect, test } from 'vitest';
import { chainClusters, tcpClusterOf } from '../../../src/envoy/chain-cluster.ts';
import { buildUpstreamRoutes, usesRds } from '../../../src/envoy/route.ts';
import type { ConfigEntries } from '../../../src/mesh/mesh.ts';
import { encode } from '../../../src/proto/codec.ts';
import type { envoy_config_route_v3_Route as Route } from '../../../src/proto/generated/types.ts';
import { compileDiscoveryChain } from '../../../src/topology/discovery-chain/compile.ts';
import { entriesOf, HTTP } from '../topology/discovery-chain/entries.ts';

const api = 'api.default.dc1.internal.td.consul';
const b = 'b.default.dc1.internal.td.consul';

function chainOf(entries: ConfigEntries, overrides = {}) {
  const { chain } = compileDiscoveryChain({ service: 'api', entries, datacenter: 'dc1', trustDomain: 'td.consul', overrides });
  if (!chain) throw new Error('no chain');
  return chain;
}

/** The routes of api with these entries, without the retries that every route has; they must be something Envoy's API can hold. */
function routesOf(entries: ConfigEntries, overrides = {}) {
  return allOf(entries, overrides).map(({ route, ...rest }): Route => {
    if (!route) return rest;
    const { retry_policy: retries, ...action } = route;
    return { ...rest, route: retries?.retry_host_predicate ? action : route };
  });
}

function allOf(entries: ConfigEntries, overrides = {}) {
  const routes = buildUpstreamRoutes(chainOf(entries, overrides), { routeConfig: 'api', virtualHost: 'api' });
  encode('envoy.config.route.v3.RouteConfiguration', routes);
  expect(routes.virtual_hosts).toHaveLength(1);
  return routes.virtual_hosts?.[0]?.routes ?? [];
}

function routerOf(...routes: object[]) {
  return entriesOf(HTTP, { kind: 'service-router', name: 'api', routes });
}

const firstRoute = (match: object, destination: object = {}) => routesOf(routerOf({ match: { http: match }, destination }))[0];

test('a request that found no connection is tried elsewhere, unless a router says otherwise about retries', () => {
  expect(allOf(entriesOf(HTTP))[0]?.route?.retry_policy).toMatchObject({ retry_on: 'connect-failure', num_retries: 2 });
  expect(firstRoute({}, { num_retries: 7, retry_on: ['5xx'] })?.route?.retry_policy).toEqual({ num_retries: 7, retry_on: '5xx' });
});

describe('what is fetched over RDS', () => {
  test('routes of chains that entries shape, where requests are understood', () => {
    const resolver = { kind: 'service-resolver', name: 'api', connect_timeout: '1s' } as const;
    expect(usesRds(chainOf(entriesOf(HTTP)))).toBe(false);
    expect(usesRds(chainOf(entriesOf(resolver)))).toBe(false);
    expect(usesRds(chainOf(entriesOf(HTTP, resolver)))).toBe(true);
  });
});

describe('matches', () => {
  test.each([
    [{}, { prefix: '/' }],
    [{ path_exact: '/x' }, { path: '/x' }],
    [
      { path_prefix: '/x', case_insensitive: true },
      { prefix: '/x', case_sensitive: false },
    ],
    [{ path_regex: '/x.*' }, { safe_regex: { regex: '/x.*' } }],
    [{ methods: ['GET', 'put'] }, { prefix: '/', headers: [{ name: ':method', string_match: { safe_regex: { regex: 'GET|PUT' } } }] }],
    [{ header: [{ name: 'a', exact: 'v', invert: true }] }, { prefix: '/', headers: [{ name: 'a', string_match: { exact: 'v' }, invert_match: true }] }],
    [{ header: [{ name: 'a', present: true }] }, { prefix: '/', headers: [{ name: 'a', present_match: true }] }],
    [{ header: [{ name: 'a', suffix: 'v' }] }, { prefix: '/', headers: [{ name: 'a', string_match: { suffix: 'v' } }] }],
    [{ query_param: [{ name: 'q', regex: 'v' }] }, { prefix: '/', query_parameters: [{ name: 'q', string_match: { safe_regex: { regex: 'v' } } }] }],
    [{ query_param: [{ name: 'q', present: true }] }, { prefix: '/', query_parameters: [{ name: 'q', present_match: true }] }],
  ])('%o', (http, match) => {
    expect(firstRoute(http)?.match).toEqual(match);
  });
});

describe('destinations', () => {
  test('what no route takes goes to the service', () => {
    expect(routesOf(routerOf({ match: { http: { path_prefix: '/b' } }, destination: { service: 'b' } }))).toEqual([
      { match: { prefix: '/b' }, route: { cluster: b } },
      { match: { prefix: '/' }, route: { cluster: api } },
    ]);
  });

  test('timeouts: below zero there is none, zero says nothing', () => {
    expect(firstRoute({}, { request_timeout: '33s', idle_timeout: '1500ms' })?.route).toEqual({ cluster: api, timeout: '33s', idle_timeout: '1.500s' });
    expect(firstRoute({}, { request_timeout: '-1s', idle_timeout: '-1s' })?.route).toEqual({ cluster: api, timeout: '0s', idle_timeout: '0s' });
    expect(firstRoute({}, { request_timeout: '0s' })?.route).toEqual({ cluster: api });
  });

  test('retries', () => {
    expect(firstRoute({}, { num_retries: 3 })?.route?.retry_policy).toEqual({ num_retries: 3 });
    const all = { num_retries: 2, retry_on: ['5xx', 'connect-failure'], retry_on_connect_failure: true, retry_on_status_codes: [401] };
    expect(firstRoute({}, all)?.route?.retry_policy).toEqual({
      num_retries: 2,
      retry_on: '5xx,connect-failure,retriable-status-codes',
      retriable_status_codes: [401],
    });
  });

  test.each([
    [{ path_prefix: '/a.b' }, '/', { regex_rewrite: { pattern: { regex: '^/a\\.b(/?)(.*)' }, substitution: '/\\2' } }],
    [{ path_prefix: '/a', case_insensitive: true }, '/', { regex_rewrite: { pattern: { regex: '(?i)^/a(/?)(.*)' }, substitution: '/\\2' } }],
    [{ path_prefix: '/a' }, '/new', { prefix_rewrite: '/new' }],
    [{ path_exact: '/a' }, '/', { regex_rewrite: { pattern: { regex: '^(/?)(.*)' }, substitution: '/\\2' } }],
  ])('rewrite of %o by %s', (http, prefix_rewrite, rewrite) => {
    expect(firstRoute(http, { prefix_rewrite })?.route).toEqual({ cluster: api, ...rewrite });
  });

  test('headers', () => {
    const route = firstRoute({}, { request_headers: { add: { a: '1' }, set: { s: '2' }, remove: ['r'] }, response_headers: { set: { y: '3' } } });
    expect(route).toMatchObject({
      request_headers_to_add: [{ header: { key: 'a', value: '1' } }, { header: { key: 's', value: '2' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
      request_headers_to_remove: ['r'],
      response_headers_to_add: [{ header: { key: 'y', value: '3' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
    });
    expect(route).not.toHaveProperty('response_headers_to_remove');
  });
});

describe('splits and resolvers', () => {
  const splits = [
    { weight: 33.33, request_headers: { set: { x: '1' } } },
    { weight: 66.67, service: 'b' },
  ];

  test('weights are hundredths of a percent, headers stand by their split', () => {
    const [route] = routesOf(entriesOf(HTTP, { kind: 'service-splitter', name: 'api', splits }));
    expect(route?.route?.weighted_clusters?.clusters).toMatchObject([
      { name: api, weight: 3333, request_headers_to_add: [{ header: { key: 'x' } }] },
      { name: b, weight: 6667 },
    ]);
  });

  test('a retry after a split into failover leaves out what was tried', () => {
    const entries = entriesOf(
      HTTP,
      { kind: 'service-router', name: 'api', routes: [{ destination: { num_retries: 1 } }, { destination: { service: 'b', num_retries: 1 } }] },
      { kind: 'service-splitter', name: 'api', splits },
      { kind: 'service-resolver', name: 'b', failover: { '*': { service: 'c' } } },
    );
    const [split, plain] = routesOf(entries);
    expect(split?.route?.retry_policy?.retry_priority?.name).toBe('envoy.retry_priorities.previous_priorities');
    expect(plain?.route?.retry_policy).toEqual({ num_retries: 1 });
  });

  test('the resolver has its say where the chain begins with it: timeout and hash', () => {
    const load_balancer = {
      policy: 'maglev',
      hash_policies: [
        { field: 'cookie', field_value: 'c', cookie_config: { ttl: '30s', path: '/p' } },
        { field: 'cookie', field_value: 's', cookie_config: { session: true } },
        { source_ip: true, terminal: true },
      ],
    };
    const resolver = { kind: 'service-resolver', name: 'api', request_timeout: '7s', load_balancer } as const;
    const hash_policy = [
      { cookie: { name: 'c', path: '/p', ttl: '30s' } },
      { cookie: { name: 's', ttl: '0s' } },
      { connection_properties: { source_ip: true }, terminal: true },
    ];
    expect(routesOf(entriesOf(HTTP, resolver))).toEqual([{ match: { prefix: '/' }, route: { cluster: api, timeout: '7s', hash_policy } }]);
    expect(routesOf(entriesOf(HTTP, resolver, { kind: 'service-router', name: 'api' }))).toEqual([
      { match: { prefix: '/' }, route: { cluster: api, hash_policy } },
    ]);
  });
});

describe('clusters', () => {
  test('failover: one cluster over its targets, each with the settings of the first', () => {
    const entries = entriesOf({
      kind: 'service-resolver',
      name: 'api',
      connect_timeout: '3s',
      failover: { '*': { targets: [{ service: 'b' }, { datacenter: 'dc2' }] } },
    });
    const chain = chainOf(entries, { protocol: 'http' });
    const name = `1a47f6e1~${api}`;
    expect(tcpClusterOf(chain)).toBe(name);
    expect(chainClusters(chain)).toMatchObject([
      { type: 'failover', name, members: [0, 1, 2].map((n) => `failover-target~${n}~${name}`), connectTimeoutMs: 3000 },
      { type: 'target', name: `failover-target~0~${name}`, target: { sni: api }, connectTimeoutMs: 3000 },
      { type: 'target', name: `failover-target~1~${name}`, target: { sni: b }, connectTimeoutMs: 3000 },
      { type: 'target', name: `failover-target~2~${name}`, target: { datacenter: 'dc2' }, connectTimeoutMs: 3000 },
    ]);
  });
});
