import { describe, expect, test } from 'vitest';
import { type Call, simulate } from './simulate.ts';

/** Routers, splitters and resolvers: which instances a request ends at, and as what. */

const NAME = (service: string) => `${service}.default.dc1.internal.mesh.test`;
const mesh = (entries: string, services = 'web, api, admin') =>
  simulate(`
    services: [${services}]
    http: [api, admin]
    intentions: ['web => *: allow']
    config_entries: [${entries}]
  `);
const ask = (simulation: ReturnType<typeof simulate>, call: Partial<Call> = {}) => simulation.call({ from: 'web', to: 'api:80', ...call });

describe('routes', () => {
  const routed = (match: string, destination = '') =>
    mesh(`{ kind: service-router, name: api, routes: [{ match: { http: { ${match} } }, destination: { service: admin${destination} } }] }`);

  test.each<[string, string, Partial<Call>, 'admin' | 'api']>([
    ['an exact path', 'path_exact: /a', { path: '/a?x=1' }, 'admin'],
    ['an exact path', 'path_exact: /a', { path: '/a/b' }, 'api'],
    ['the beginning of a path', 'path_prefix: /a', { path: '/ab' }, 'admin'],
    ['the beginning of a path', 'path_prefix: /a', { path: '/b/a' }, 'api'],
    ['a pattern for the whole path', 'path_regex: "/[0-9]+"', { path: '/42' }, 'admin'],
    ['a pattern for the whole path', 'path_regex: "/[0-9]+"', { path: '/42x' }, 'api'],
    ['a path in any case', 'path_prefix: /a, case_insensitive: true', { path: '/A' }, 'admin'],
    ['a path in its case', 'path_prefix: /a', { path: '/A' }, 'api'],
    ['a header', 'header: [{ name: X-Debug, exact: "1" }]', { headers: { 'x-debug': '1' } }, 'admin'],
    ['a header', 'header: [{ name: X-Debug, exact: "1" }]', { headers: { 'x-debug': '2' } }, 'api'],
    ['the beginning of a header', 'header: [{ name: a, prefix: x }]', { headers: { a: 'xy' } }, 'admin'],
    ['the end of a header', 'header: [{ name: a, suffix: "y" }]', { headers: { a: 'xy' } }, 'admin'],
    ['a pattern for a header', 'header: [{ name: a, regex: "x.*" }]', { headers: { a: 'axy' } }, 'api'],
    ['a header that is there', 'header: [{ name: a, present: true }]', { headers: { a: '' } }, 'admin'],
    ['a header that is not there', 'header: [{ name: a, present: true, invert: true }]', {}, 'admin'],
    ['another value of a header', 'header: [{ name: a, exact: x, invert: true }]', { headers: { a: 'y' } }, 'admin'],
    ['all headers', 'header: [{ name: a, present: true }, { name: b, present: true }]', { headers: { a: '' } }, 'api'],
    ['a query parameter', 'query_param: [{ name: v, exact: "2" }]', { path: '/?u=1&v=2' }, 'admin'],
    ['a query parameter', 'query_param: [{ name: v, exact: "2" }]', { path: '/?v=1' }, 'api'],
    ['a pattern for a query parameter', 'query_param: [{ name: v, regex: "[0-9]" }]', { path: '/?v=7' }, 'admin'],
    ['a query parameter that is there', 'query_param: [{ name: v, present: true }]', { path: '/?v' }, 'admin'],
    ['a method', 'methods: [PUT, post]', { method: 'POST' }, 'admin'],
    ['a method', 'methods: [PUT, post]', { method: 'GET' }, 'api'],
  ])('%s: %s, %j → %s', (_, match, call, to) => {
    expect(ask(routed(match), call)).toMatchObject({ outcome: 'reaches', cluster: NAME(to), instances: [to] });
  });

  test('the first that matches wins; what none matches goes to the service itself', () => {
    const several = mesh(`{ kind: service-router, name: api, routes: [
      { match: { http: { path_prefix: /a/b } }, destination: { service: api } },
      { match: { http: { path_prefix: /a } }, destination: { service: admin } } ] }`);
    expect(ask(several, { path: '/a/b' })).toMatchObject({ instances: ['api'] });
    expect(ask(several, { path: '/a/c' })).toMatchObject({ instances: ['admin'] });
    expect(ask(several, { path: '/' })).toMatchObject({ instances: ['api'] });
  });

  test('a route without a match takes everything', () => {
    const all = mesh('{ kind: service-router, name: api, routes: [{ destination: { service: admin } }] }');
    expect(ask(all, { path: '/x', method: 'DELETE' })).toMatchObject({ instances: ['admin'] });
  });

  test.each([
    ['path_prefix: /old', '/new', '/old/x?y=1', '/new/x?y=1'],
    ['path_prefix: /old', '/', '/old/x', '/x'],
    ['path_prefix: /old', '/', '/old', '/'],
    ['path_prefix: /old/', '/', '/old/x', '/x'],
    ['path_exact: /old', '/new', '/old?y=1', '/new?y=1'],
    ['path_prefix: /old', '', '/old/x', '/old/x'],
  ])('%s rewritten to "%s" makes of %s %s', (match, to, path, arrives) => {
    const rewritten = ask(routed(match, `, prefix_rewrite: '${to}'`), { path });
    expect(rewritten).toMatchObject({ instances: ['admin'], request: { path: arrives } });
  });

  test('headers are set, added and removed on the way', () => {
    const changed = ask(routed('path_prefix: /', ', request_headers: { set: { a: "1" }, add: { b: "2" }, remove: [c] }'), {
      headers: { a: 'x', b: 'x', c: 'x', d: 'x' },
    });
    const { 'x-forwarded-client-cert': _caller, ...headers } = changed.request?.headers ?? {};
    expect(headers).toEqual({ a: '1', b: 'x,2', d: 'x' });
  });

  test('another service is asked as itself: its intentions count', () => {
    const closed = simulate(`
      services: [web, api, admin]
      http: [api, admin]
      intentions: ['web => api: allow']
      config_entries: [{ kind: service-router, name: api, routes: [{ match: { http: { path_prefix: /a } }, destination: { service: admin } }] }]
    `);
    expect(ask(closed)).toMatchObject({ outcome: 'reaches', instances: ['api'] });
    expect(ask(closed, { path: '/a' })).toMatchObject({ outcome: 'denied', at: 'admin', by: 'HTTP RBAC' });
  });
});

const VERSIONS = `web, admin, { name: api, id: api-1, meta: { version: v1 } }, { name: api, id: api-2, meta: { version: v2 } }`;
const SUBSETS = "subsets: { v1: { filter: 'Service.Meta.version == v1' }, v2: { filter: 'Service.Meta.version == v2' } }";

describe('splits', () => {
  test('by weight, over subsets', () => {
    const split = mesh(
      `{ kind: service-resolver, name: api, ${SUBSETS} },
       { kind: service-splitter, name: api, splits: [{ weight: 90, service_subset: v1 }, { weight: 10, service_subset: v2 }] }`,
      VERSIONS,
    );
    const shares = { [NAME('v1.api')]: 90, [NAME('v2.api')]: 10 };
    expect(ask(split)).toMatchObject({ shares, instances: ['api-1'] });
    expect(ask(split, { share: NAME('v2.api') })).toMatchObject({ shares, instances: ['api-2'] });
  });

  test('a split of a split multiplies', () => {
    const nested = mesh(`
      { kind: service-splitter, name: api, splits: [{ weight: 50, service: admin }, { weight: 50 }] },
      { kind: service-splitter, name: admin, splits: [{ weight: 20, service: other }, { weight: 80 }] },
      { kind: service-defaults, name: other, protocol: http }`);
    expect(ask(nested).shares).toEqual({ [NAME('api')]: 50, [NAME('admin')]: 40, [NAME('other')]: 10 });
  });

  test('a weight of zero gets nothing', () => {
    const none = mesh('{ kind: service-splitter, name: api, splits: [{ weight: 100 }, { weight: 0, service: admin }] }');
    expect(ask(none).shares).toEqual({ [NAME('api')]: 100 });
  });

  test('behind a route', () => {
    const both = mesh(`
      { kind: service-router, name: api, routes: [{ match: { http: { path_prefix: /a } }, destination: { service: admin } }] },
      { kind: service-splitter, name: admin, splits: [{ weight: 75 }, { weight: 25, service: api }] }`);
    expect(ask(both, { path: '/a' }).shares).toEqual({ [NAME('admin')]: 75, [NAME('api')]: 25 });
    expect(ask(both, { path: '/b' }).shares).toEqual({ [NAME('api')]: 100 });
  });
});

describe('resolvers', () => {
  test('a default subset is what the service means', () => {
    const subset = mesh(`{ kind: service-resolver, name: api, default_subset: v2, ${SUBSETS} }`, VERSIONS);
    expect(ask(subset)).toMatchObject({ cluster: NAME('v2.api'), instances: ['api-2'] });
  });

  test('without a default subset all instances are', () => {
    expect(ask(mesh(`{ kind: service-resolver, name: api, ${SUBSETS} }`, VERSIONS))).toMatchObject({ instances: ['api-1', 'api-2'] });
  });

  test('a subset of nobody reaches nobody', () => {
    const nobody = mesh("{ kind: service-resolver, name: api, default_subset: v3, subsets: { v3: { filter: 'Service.Meta.version == v3' } } }", VERSIONS);
    expect(ask(nobody)).toMatchObject({ outcome: 'denied', at: 'web', cluster: NAME('v3.api'), by: 'no healthy host' });
  });

  test('a redirect leads to another service, under its identity', () => {
    const redirected = mesh('{ kind: service-resolver, name: api, redirect: { service: admin } }');
    expect(ask(redirected)).toMatchObject({ outcome: 'reaches', cluster: NAME('admin'), instances: ['admin'] });
  });

  test('a name that is nothing but a redirect has a virtual IP, too', () => {
    const alias = mesh('{ kind: service-defaults, name: old, protocol: http }, { kind: service-resolver, name: old, redirect: { service: api } }');
    expect(ask(alias, { to: 'old:80' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
  });

  test('weights of instances are shares of the load', () => {
    const weighted = mesh('', 'web, { name: api, id: api-1, sidecar: { weights: { passing: 3 } } }, { name: api, id: api-2 }');
    expect(ask(weighted).load).toEqual({ 'api-1': 75, 'api-2': 25 });
  });
});

describe('health', () => {
  const instances = (first: string, second: string) => `web, { name: api, id: api-1, health: ${first} }, { name: api, id: api-2, health: ${second} }, admin`;

  test('critical instances get nothing', () => {
    expect(ask(mesh('', instances('critical', 'passing')))).toMatchObject({ instances: ['api-2'] });
    expect(ask(mesh('', instances('critical', 'critical')))).toMatchObject({ outcome: 'denied', by: 'no healthy host' });
  });

  test('those in warning do, unless only passing ones are wanted', () => {
    expect(ask(mesh('', instances('warning', 'passing')))).toMatchObject({ instances: ['api-1', 'api-2'] });
    const strict = mesh('{ kind: service-resolver, name: api, default_subset: up, subsets: { up: { only_passing: true } } }', instances('warning', 'passing'));
    expect(ask(strict)).toMatchObject({ instances: ['api-2'] });
  });

  const failover = "{ kind: service-resolver, name: api, failover: { '*': { service: admin } } }";

  test('failover waits until too few instances are healthy', () => {
    expect(ask(mesh(failover, instances('passing', 'passing')))).toMatchObject({ cluster: NAME('api'), instances: ['api-1', 'api-2'] });
    expect(ask(mesh(failover, instances('critical', 'passing'))).load).toEqual({ 'api-2': 70, admin: 30 });
    expect(ask(mesh(failover, instances('critical', 'critical')))).toMatchObject({ outcome: 'reaches', instances: ['admin'] });
  });

  test('failover to targets in their order', () => {
    const targets = mesh(
      "{ kind: service-resolver, name: api, failover: { '*': { targets: [{ service: nobody }, { service: admin }] } } }, { kind: service-defaults, name: nobody, protocol: http }",
      instances('critical', 'critical'),
    );
    expect(ask(targets)).toMatchObject({ outcome: 'reaches', instances: ['admin'] });
  });

  test('failover of one subset only', () => {
    const subset = mesh(
      `{ kind: service-resolver, name: api, default_subset: v1, ${SUBSETS}, failover: { v1: { service_subset: v2 } } }`,
      'web, { name: api, id: api-1, meta: { version: v1 }, health: critical }, { name: api, id: api-2, meta: { version: v2 } }, admin',
    );
    expect(ask(subset)).toMatchObject({ outcome: 'reaches', cluster: NAME('v1.api'), instances: ['api-2'] });
  });

  test('failover goes to another service only where its own intentions allow it', () => {
    const closed = simulate(`
      services: [web, { name: api, health: critical }, admin]
      http: [api, admin]
      intentions: ['web => api: allow']
      config_entries: [${failover}]
    `);
    expect(ask(closed)).toMatchObject({ outcome: 'denied', at: 'admin', by: 'HTTP RBAC' });
  });

  test('of a tcp service', () => {
    const tcp = simulate(`
      services: [web, { name: db, health: critical }, replica]
      intentions: ['web => *: allow']
      config_entries: [{ kind: service-resolver, name: db, failover: { '*': { service: replica } } }]
    `);
    expect(tcp.call({ from: 'web', to: 'db:5432', protocol: 'tcp' })).toMatchObject({ outcome: 'reaches', cluster: NAME('db'), instances: ['replica'] });
  });
});

describe('protocols', () => {
  test.each(['http', 'http2', 'grpc'])('%s is understood on both sides', (protocol) => {
    const spoken = simulate(`
      services: [web, api]
      intentions: ['web => api: allow']
      config_entries: [{ kind: proxy-defaults, name: global, config: { protocol: ${protocol} } }]
    `);
    expect(spoken.call({ from: 'web', to: 'api:80', path: '/x' })).toMatchObject({ outcome: 'reaches', request: { path: '/x' } });
    expect(spoken.call({ from: 'web', to: 'api:80', protocol: 'tcp' })).toMatchObject({ outcome: 'denied', by: 'not HTTP' });
  });

  test('a caller that takes an HTTP service for tcp is still judged by its requests', () => {
    const flat = simulate(`
      services: [web, api]
      http: [api]
      intentions: [{ web => api: [{ action: allow, http: { path_exact: /a } }] }]
      config_entries: [{ kind: service-defaults, name: web, upstream_config: { overrides: [{ name: api, protocol: tcp }] } }]
    `);
    expect(ask(flat, { path: '/a' })).toMatchObject({ outcome: 'reaches' });
    expect(ask(flat, { path: '/b' })).toMatchObject({ outcome: 'denied', at: 'api', by: 'HTTP RBAC' });
  });
});
