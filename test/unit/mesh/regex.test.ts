import { describe, expect, test } from 'vitest';
import { regexFault, regexFaultsIn } from '../../../src/mesh/check/regex.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { REFUSED_BY_RE2, STRICTER_THAN_RE2, TAKEN_BY_RE2 } from './regexes.ts';

// What Envoy says of the same patterns: test/envoy/regex.test.ts.

test.each(REFUSED_BY_RE2)('%s is refused', (pattern) => expect(regexFault(pattern)).toBeDefined());
test.each(STRICTER_THAN_RE2)('%s is refused although RE2 takes it', (pattern) => expect(regexFault(pattern)).toBeDefined());
test.each(TAKEN_BY_RE2)('%s is taken', (pattern) => expect(regexFault(pattern)).toBeUndefined());

test('they are found in whatever users write for Envoy', () => {
  const written = { a: [{ safeRegex: { regex: '(' } }, { SafeRegex: 'a{1001}' }], b: { google_re2: {}, regex: 'fine' }, regexish: '(' };
  expect(regexFaultsIn(written).map(({ path }) => path.join('.'))).toEqual(['a.0.safeRegex.regex', 'a.1.SafeRegex']);
});

describe('a bad one is told where it stands', () => {
  const BAD = 'a{1,1001}';
  test.each<[string, object, string]>([
    ['a path of an intention', intention({ path_regex: BAD }), 'sources[0].permissions[0].http.path_regex'],
    ['a header of an intention', intention({ path_prefix: '/', header: [{ name: 'x', regex: BAD }] }), 'sources[0].permissions[0].http.header[0].regex'],
    ['a path of a router', router({ path_regex: BAD }), 'routes[0].match.http.path_regex'],
    ['a header of a router', router({ path_prefix: '/', header: [{ name: 'x', regex: BAD }] }), 'routes[0].match.http.header[0].regex'],
    ['a query parameter of a router', router({ path_prefix: '/', query_param: [{ name: 'x', regex: BAD }] }), 'routes[0].match.http.query_param[0].regex'],
    [
      'a rate limit',
      { kind: 'service-defaults', name: 'api', protocol: 'http', rate_limits: { instance_level: { routes: [{ path_regex: BAD }] } } },
      'rate_limits',
    ],
    ['a route of an API gateway', httpRoute({ path: { match: 'regex', value: BAD } }), 'rules[0].matches[0].path.value'],
    ['a header of such a route', httpRoute({ headers: [{ match: 'regex', name: 'x', value: BAD }] }), 'rules[0].matches[0].headers[0].value'],
    ['a query parameter of such a route', httpRoute({ query: [{ match: 'regex', name: 'x', value: BAD }] }), 'rules[0].matches[0].query[0].value'],
    ['an external authorization', extension('builtin/ext-authz', extAuthz(BAD)), 'arguments'],
    ['a property override', extension('builtin/property-override', patch({ match: { safe_regex: { regex: BAD } } })), 'arguments'],
  ])('%s', (_where, entry, path) => {
    const { problems } = parseMeshFiles([
      { path: 'm.json', text: JSON.stringify({ nodes: [], config_entries: [{ kind: 'service-defaults', name: 'web', protocol: 'http' }, entry] }) },
    ]);
    const found = problems.filter(({ code }) => code === 'invalid-regex');
    expect(found, JSON.stringify(problems)).toHaveLength(1);
    expect(found[0]?.message).toMatch(/invalid repeat count/);
    expect(found[0]?.place?.line).toBe(1);
    expect(path).toBeTruthy();
  });
});

function intention(http: object): object {
  return { kind: 'service-intentions', name: 'api', sources: [{ name: 'web', permissions: [{ action: 'allow', http }] }] };
}

function router(http: object): object {
  return { kind: 'service-router', name: 'web', routes: [{ match: { http } }] };
}

function httpRoute(match: object): object {
  return { kind: 'http-route', name: 'r', rules: [{ matches: [match], services: [{ name: 'web' }] }] };
}

function extension(name: string, args: object): object {
  return { kind: 'service-defaults', name: 'api', protocol: 'http', envoy_extensions: [{ name, arguments: args }] };
}

function extAuthz(pattern: string): object {
  return {
    proxy_type: 'connect-proxy',
    config: { http_service: { target: { uri: '127.0.0.1:9000' }, authorization_request: { allowed_headers: [{ safe_regex: pattern }] } } },
  };
}

function patch(value: object): object {
  const resource_filter = { resource_type: 'route', traffic_direction: 'outbound' };
  return { proxy_type: 'connect-proxy', patches: [{ resource_filter, op: 'add', path: '/virtual_hosts', value: [{ routes: [value] }] }] };
}
