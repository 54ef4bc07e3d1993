import { describe, expect, test } from 'vitest';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';

/** Problems of config entries as `severity code: place in words`. */
function defects(...entries: object[]): string[] {
  const text = JSON.stringify({ config_entries: entries }, null, 1);
  const lines = text.split('\n');
  return parseMeshFiles([{ path: 'mesh.json', text }]).problems.map(
    ({ severity, code, place }) => `${severity} ${code} at ${lines[(place?.line ?? 0) - 1]?.trim().replace(/,$/, '')}`,
  );
}

const http = (name: string, protocol = 'http') => ({ kind: 'service-defaults', name, protocol });
const rule = { action: 'allow', http: { path_prefix: '/' } };

describe('routers and splitters', () => {
  const router = { kind: 'service-router', name: 'api', routes: [{ destination: { service: 'admin' } }] };
  const splitter = { kind: 'service-splitter', name: 'api', splits: [{ weight: 60 }, { weight: 40, service: 'b' }] };

  test('need HTTP', () => {
    expect(defects(router, splitter)).toEqual(['error chain-needs-http at "kind": "service-router"', 'error chain-needs-http at "kind": "service-splitter"']);
    expect(defects({ kind: 'proxy-defaults', name: 'global', config: { protocol: 'http' } }, router, splitter)).toEqual([]);
    expect(defects(http('api'), router)).toEqual(['warning chain-protocol-mismatch at "service": "admin"']);
  });

  test('have weights that add up to 100', () => {
    const thirds = [33.33, 33.33, 33.34].map((weight, index) => ({ weight, service: `s${index}` }));
    const protocols = ['api', 's0', 's1', 's2'].map((name) => http(name));
    expect(defects(...protocols, { ...splitter, splits: thirds })).toEqual([]);
    expect(defects(http('api'), { ...splitter, splits: [{ weight: 60 }] })).toEqual(['error weights-not-100 at "splits": [']);
  });
});

describe('subsets', () => {
  const resolver = { kind: 'service-resolver', name: 'api', subsets: { v1: { filter: 'Service.Meta.version == v1' } } };
  const split = (service_subset: string, service = 'api') => ({ kind: 'service-splitter', name: 'api', splits: [{ weight: 100, service, service_subset }] });

  test('must be defined by the resolver of the service', () => {
    expect(defects(http('api'), resolver, split('v1'))).toEqual([]);
    expect(defects(http('api'), resolver, split('v2'))).toEqual(['error unknown-subset at "service_subset": "v2"']);
    expect(defects(http('api'), split('v1'))).toEqual(['error unknown-subset at "service_subset": "v1"']);
    expect(defects({ ...resolver, default_subset: 'v3' })).toEqual(['error unknown-subset at "default_subset": "v3"']);
    expect(defects({ ...resolver, failover: { v4: { service: 'backup' } } })).toEqual(['error unknown-subset at "v4": {']);
  });

  test('are those of the service a redirect leads to', () => {
    const redirect = { kind: 'service-resolver', name: 'old', redirect: { service: 'api', service_subset: 'v1' } };
    expect(defects(resolver, redirect)).toEqual([]);
    expect(defects(resolver, { ...redirect, redirect: { service: 'api', service_subset: 'v2' } })).toEqual(['error unknown-subset at "service_subset": "v2"']);
  });
});

test('redirects must end somewhere', () => {
  const to = (name: string, service: string) => ({ kind: 'service-resolver', name, redirect: { service } });
  expect(defects(to('a', 'b'), to('b', 'a'))).toEqual(['error chain-circular at "service": "b"', 'error chain-circular at "service": "a"']);
  expect(defects(to('a', 'a'))).toEqual(['error redirect-to-itself at "service": "a"']);
});

describe('intentions', () => {
  const intention = (rest: object) => ({ kind: 'service-intentions', name: 'api', ...rest });

  test('with permissions need HTTP', () => {
    const entry = intention({ sources: [{ name: 'web', permissions: [rule] }] });
    expect(defects(entry)).toEqual(['warning intention-needs-http at "permissions": [']);
    expect(defects(entry, http('api', 'grpc'))).toEqual([]);
  });

  test('name JWT providers that exist', () => {
    const jwt = { providers: [{ name: 'okta' }] };
    const provider = { kind: 'jwt-provider', name: 'okta', json_web_key_set: { remote: { uri: 'https://idp.example/keys' } } };
    const entry = intention({ jwt, sources: [{ name: 'web', permissions: [{ ...rule, jwt }] }] });
    expect(defects(http('api'), entry)).toEqual(['error unknown-jwt-provider at "name": "okta"', 'error unknown-jwt-provider at "name": "okta"']);
    expect(defects(http('api'), entry, provider)).toEqual([]);
  });
});

test('the arguments of an extension are checked where they stand', () => {
  const lua = (required: boolean, argument: object) => ({ ...http('api'), envoy_extensions: [{ name: 'builtin/lua', required, arguments: argument }] });
  const good = { proxy_type: 'connect-proxy', listener: 'inbound', script: 'x()' };
  expect(defects(lua(true, good))).toEqual([]);
  expect(defects(lua(true, { ...good, listner: 'inbound' }))).toEqual(['error unknown-key at "listner": "inbound"']);
  expect(defects(lua(false, { ...good, listner: 'inbound' }))).toEqual(['warning unknown-key at "listner": "inbound"']);
});

test('settings without effect', () => {
  expect(defects({ ...http('api'), mutual_tls_mode: 'permissive' })).toEqual(['warning permissive-not-allowed at "mutual_tls_mode": "permissive"']);
  expect(defects({ ...http('api'), mutual_tls_mode: 'permissive' }, { kind: 'mesh', allow_enabling_permissive_mutual_tls: true })).toEqual([]);
  expect(defects({ ...http('api'), envoy_extensions: [{ name: 'builtin/luna' }] })).toEqual(['warning unknown-extension at "name": "builtin/luna"']);
  expect(defects({ kind: 'tcp-route', name: 'r', parents: [{ name: 'gw' }] })).toEqual(['warning unknown-gateway at "name": "gw"']);
});
