import { describe, expect, test } from 'vitest';
import { KEY_SET } from './key-set.ts';
import { type Call, type Simulation, simulate, simulateUnchecked } from './simulate.ts';

/** Who may call whom, as applications meet it: from the caller's first packet to the application behind the other sidecar. */

const calls = (mesh: Simulation, call: Omit<Call, 'from' | 'to'> & { from?: string; to?: string } = {}) =>
  mesh.call({ from: 'web', to: 'api:80', protocol: 'tcp', ...call });
const asks = (mesh: Simulation, call: Omit<Call, 'from' | 'to'> & { from?: string } = {}) => mesh.call({ from: 'web', to: 'api:80', ...call });

const CLOSED_AT_CALLER = { outcome: 'denied', at: 'web', cluster: 'denied', by: 'no healthy host' };
const REACHES_API = { outcome: 'reaches', instances: ['api'], application: '127.0.0.1:8080' };

describe('precedence: exact destination, then exact source, then wildcards, then the default', () => {
  test.each<[string, string[], 'allow' | 'deny', boolean]>([
    ['default deny', [], 'deny', false],
    ['default allow', [], 'allow', true],
    ['an exact intention over the default', ['web => api: allow'], 'deny', true],
    ['an exact denial over the default', ['web => api: deny'], 'allow', false],
    ['an exact source over the wildcard', ['web => api: deny', '* => api: allow'], 'deny', false],
    ['an exact source over the wildcard', ['web => api: allow', '* => api: deny'], 'allow', true],
    ['an exact destination over the wildcard', ['* => api: deny', 'web => *: allow'], 'deny', false],
    ['an exact destination over the wildcard', ['* => api: allow', 'web => *: deny'], 'allow', true],
    ['an exact source under the wildcard destination', ['web => *: allow', '* => *: deny'], 'deny', true],
    ['a wildcard on both sides over the default', ['* => *: allow'], 'deny', true],
    ['a wildcard on both sides over the default', ['* => *: deny'], 'allow', false],
    ['an intention for another caller says nothing', ['cron => api: allow'], 'deny', false],
    ['an intention for another destination says nothing', ['web => db: allow'], 'deny', false],
  ])('%s: %j under default %s', (_, intentions, policy, allowed) => {
    const mesh = simulate(`{ services: [web, api, db, cron], default_intention_policy: ${policy}, intentions: ${JSON.stringify(intentions)} }`);
    expect(calls(mesh)).toMatchObject(allowed ? REACHES_API : CLOSED_AT_CALLER);
    // The destination decides by itself, too, and says no in the handshake.
    const knocked = mesh.knock({ as: 'web', to: 'api', protocol: 'tcp' });
    expect(knocked).toMatchObject(allowed ? REACHES_API : { outcome: 'denied', at: 'api', by: 'identity of the caller' });
  });
});

describe('connections', () => {
  const mesh = simulate("{ services: [web, api, db, cron], intentions: ['web => api: allow', '* => db: allow', 'cron => db: deny'] }");

  test('of a caller that nothing is said about end in its own proxy', () => {
    expect(calls(mesh, { from: 'cron' })).toMatchObject({ ...CLOSED_AT_CALLER, at: 'cron' });
  });

  test('of everybody but one', () => {
    expect(calls(mesh, { to: 'db:5432' })).toMatchObject({ outcome: 'reaches', instances: ['db'] });
    expect(calls(mesh, { from: 'cron', to: 'db:5432' })).toMatchObject({ outcome: 'denied', at: 'cron' });
    expect(mesh.knock({ as: 'cron', to: 'db' })).toMatchObject({ outcome: 'denied', by: 'identity of the caller' });
    expect(mesh.knock({ as: 'cron2', to: 'db' })).toMatchObject({ outcome: 'reaches' });
  });

  test('without a certificate never get in', () => {
    const outside = simulate('{ services: [{ name: job, proxy: { mode: direct } }, api], default_intention_policy: allow }');
    expect(outside.call({ from: 'job', to: '10.0.0.2:21000' })).toMatchObject({ outcome: 'denied', at: 'api', by: 'plaintext on a TLS chain' });
  });

  test('of one direction only', () => {
    expect(calls(mesh, { from: 'api', to: 'web:80' })).toMatchObject({ outcome: 'denied', at: 'api', cluster: 'denied' });
  });

  test('permissions and tokens on a tcp service deny, because nobody could check them', () => {
    const tcp = simulateUnchecked(`
      services: [web, api]
      default_intention_policy: allow
      intentions: [{ web => api: [{ action: allow, http: { path_prefix: / } }] }]
    `);
    expect(tcp.knock({ as: 'web', to: 'api' })).toMatchObject({ outcome: 'denied', by: 'identity of the caller' });
  });
});

describe('requests', () => {
  const mesh = (permissions: string, policy = 'deny') =>
    simulate(`{ services: [web, api, cron], http: [api], default_intention_policy: ${policy}, intentions: [{ web => api: ${permissions} }] }`);
  const FORBIDDEN = { outcome: 'denied', at: 'api', by: 'HTTP RBAC' };

  test.each<[string, string, Omit<Call, 'from' | 'to'>, boolean]>([
    ['an exact path', '[{ action: allow, http: { path_exact: /a } }]', { path: '/a?x=1' }, true],
    ['an exact path', '[{ action: allow, http: { path_exact: /a } }]', { path: '/a/' }, false],
    ['the beginning of a path', '[{ action: allow, http: { path_prefix: /a } }]', { path: '/ab' }, true],
    ['the beginning of a path', '[{ action: allow, http: { path_prefix: /a } }]', { path: '/A' }, false],
    ['a pattern for the whole path', '[{ action: allow, http: { path_regex: "/[0-9]+" } }]', { path: '/42' }, true],
    ['a pattern for the whole path', '[{ action: allow, http: { path_regex: "/[0-9]+" } }]', { path: '/42/x' }, false],
    ['methods', '[{ action: allow, http: { methods: [GET, put] } }]', { method: 'PUT' }, true],
    ['methods', '[{ action: allow, http: { methods: [GET, put] } }]', { method: 'POST' }, false],
    ['a header', '[{ action: allow, http: { header: [{ name: X-Team, exact: red }] } }]', { headers: { 'x-team': 'red' } }, true],
    ['a header', '[{ action: allow, http: { header: [{ name: X-Team, exact: red }] } }]', {}, false],
    ['a header without regard to case', '[{ action: allow, http: { header: [{ name: a, prefix: RE, ignore_case: true }] } }]', { headers: { a: 'red' } }, true],
    ['a header that is there', '[{ action: allow, http: { header: [{ name: a, present: true }] } }]', { headers: { a: '' } }, true],
    ['a header that is not there', '[{ action: allow, http: { header: [{ name: a, present: true, invert: true }] } }]', {}, true],
    ['the other value of a header', '[{ action: allow, http: { header: [{ name: a, suffix: d, invert: true }] } }]', { headers: { a: 'blue' } }, true],
    ['a missing header is no other value', '[{ action: allow, http: { header: [{ name: a, exact: d, invert: true }] } }]', {}, false],
    ['all conditions together', '[{ action: allow, http: { path_prefix: /a, methods: [GET] } }]', { path: '/a', method: 'POST' }, false],
    ['the first match decides: deny', '[{ action: deny, http: { path_prefix: /a } }, { action: allow, http: { path_prefix: / } }]', { path: '/a/b' }, false],
    ['the first match decides: allow', '[{ action: allow, http: { path_prefix: /a } }, { action: deny, http: { path_prefix: / } }]', { path: '/a/b' }, true],
    ['what no permission matches falls to the default', '[{ action: allow, http: { path_exact: /a } }]', { path: '/b' }, false],
  ])('%s: %s on %j', (_, permissions, call, allowed) => {
    expect(asks(mesh(permissions), call)).toMatchObject(allowed ? REACHES_API : FORBIDDEN);
  });

  test('what no permission matches falls to the default, also when that is allow', () => {
    const open = mesh('[{ action: deny, http: { path_prefix: /admin } }]', 'allow');
    expect(asks(open, { path: '/' })).toMatchObject(REACHES_API);
    expect(asks(open, { path: '/admin' })).toMatchObject(FORBIDDEN);
    expect(asks(open, { path: '/admin', from: 'cron' })).toMatchObject(REACHES_API);
  });

  test('a denial of all values but one covers a missing header', () => {
    const keyed = mesh('[{ action: deny, http: { header: [{ name: x-key, exact: secret, invert: true }] } }]', 'allow');
    expect(asks(keyed)).toMatchObject(FORBIDDEN);
    expect(asks(keyed, { headers: { 'x-key': 'guess' } })).toMatchObject(FORBIDDEN);
    expect(asks(keyed, { headers: { 'x-key': 'secret' } })).toMatchObject(REACHES_API);
  });

  test('a path is judged as the application will read it', () => {
    const permissions = '[{ action: deny, http: { path_prefix: /private } }, { action: allow, http: { path_prefix: / } }]';
    for (const path of ['/private', '/public/../private', '/public/%2e%2e/private', '/%70rivate', '//private', '/./private']) {
      expect(asks(mesh(permissions), { path }), path).toMatchObject(FORBIDDEN);
    }
    expect(asks(mesh(permissions), { path: '/public%2f..%2fprivate' })).toMatchObject({ outcome: 'denied', by: 'path normalization' });
    expect(asks(mesh(permissions), { path: '/private/../public' })).toMatchObject({ ...REACHES_API, request: { path: '/public' } });
  });

  test('one source by permissions, the others as a whole', () => {
    const mixed = simulate(`
      services: [web, api, cron]
      http: [api]
      intentions: ['* => api: allow', { web => api: [{ action: allow, http: { path_exact: / } }] }]
    `);
    expect(asks(mixed, { path: '/x' })).toMatchObject(FORBIDDEN);
    expect(asks(mixed, { path: '/' })).toMatchObject(REACHES_API);
    expect(asks(mixed, { path: '/x', from: 'cron' })).toMatchObject(REACHES_API);
  });

  test('permissions of the wildcard do not hold for a source that is named', () => {
    const named = simulate(`
      services: [web, api, cron]
      http: [api]
      intentions: ['web => api: deny', { '* => api': [{ action: allow, http: { path_prefix: / } }] }]
    `);
    expect(asks(named, { from: 'cron' })).toMatchObject(REACHES_API);
    expect(named.knock({ as: 'web', to: 'api' })).toMatchObject(FORBIDDEN);
    // The way there does not even exist.
    expect(asks(named)).toMatchObject(CLOSED_AT_CALLER);
  });

  test('something else than HTTP on an HTTP service is refused', () => {
    expect(asks(mesh('allow'), { protocol: 'tcp' })).toMatchObject({ outcome: 'denied', at: 'web', by: 'not HTTP' });
    expect(mesh('allow').knock({ as: 'web', to: 'api', protocol: 'tcp' })).toMatchObject({ outcome: 'denied', at: 'api', by: 'not HTTP' });
  });

  test('the application is told the verified caller, and no other', () => {
    const forged = { 'X-Forwarded-Client-Cert': 'URI=spiffe://mesh.test/ns/default/dc/dc1/svc/root', x_forwarded_client_cert: 'URI=root' };
    expect(asks(mesh('allow'), { headers: { ...forged, 'x-other': 'kept' } }).request?.headers).toEqual({
      'x-forwarded-client-cert': 'URI=spiffe://mesh.test/ns/default/dc/dc1/svc/web',
      'x-other': 'kept',
    });
  });
});

describe('tokens', () => {
  const provider = (name: string) => `{ kind: jwt-provider, name: ${name}, issuer: 'https://${name}', json_web_key_set: { local: { jwks: ${KEY_SET} } } }`;
  const mesh = (entry: string, policy = 'deny') =>
    simulate(`
      services: [web, api]
      default_intention_policy: ${policy}
      config_entries:
        - { kind: service-defaults, name: api, protocol: http }
        - ${provider('idp')}
        - ${provider('other')}
        - { kind: service-intentions, name: api, ${entry} }
    `);
  const token = (iss: string, claims: object = {}) => ({ tokens: [{ iss, ...claims }] });
  const FORBIDDEN = { outcome: 'denied', at: 'api', by: 'HTTP RBAC' };

  test.each(['deny', 'allow'])('demanded of every caller, under default %s', (policy) => {
    const all = mesh('sources: [{ name: web, action: allow }], jwt: { providers: [{ name: idp }] }', policy);
    expect(asks(all)).toMatchObject(FORBIDDEN);
    expect(asks(all, token('https://other'))).toMatchObject(FORBIDDEN);
    expect(asks(all, token('https://idp'))).toMatchObject(REACHES_API);
  });

  test('of any of several issuers', () => {
    const either = mesh('sources: [{ name: web, action: allow }], jwt: { providers: [{ name: idp }, { name: other }] }');
    expect(asks(either, token('https://other'))).toMatchObject(REACHES_API);
  });

  test('with claims', () => {
    const jwt = '{ providers: [{ name: idp, verify_claims: [{ path: [perms, role], value: admin }] }] }';
    const claims = mesh(`sources: [{ name: web, action: allow }], jwt: ${jwt}`);
    expect(asks(claims, token('https://idp'))).toMatchObject(FORBIDDEN);
    expect(asks(claims, token('https://idp', { perms: { role: 'guest' } }))).toMatchObject(FORBIDDEN);
    expect(asks(claims, token('https://idp', { perms: { role: 'admin' } }))).toMatchObject(REACHES_API);
  });

  test.each(['deny', 'allow'])('demanded by one permission: without it the request is denied and no later permission is asked, under default %s', (policy) => {
    const permissions = '[{ action: allow, http: { path_prefix: /admin }, jwt: { providers: [{ name: idp }] } }, { action: allow, http: { path_prefix: / } }]';
    const some = mesh(`sources: [{ name: web, permissions: ${permissions} }]`, policy);
    expect(asks(some, { path: '/admin' })).toMatchObject(FORBIDDEN);
    expect(asks(some, { path: '/admin', ...token('https://idp') })).toMatchObject(REACHES_API);
    expect(asks(some, { path: '/' })).toMatchObject(REACHES_API);
  });

  test('a token lets in nobody whom no intention lets in', () => {
    const named = mesh('sources: [{ name: web, action: allow }], jwt: { providers: [{ name: idp }] }');
    expect(named.knock({ as: 'cron', to: 'api', ...token('https://idp') })).toMatchObject(FORBIDDEN);
  });
});
