import { describe, expect, test } from 'vitest';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';

/** Problems as `file:line code`, in order. */
function defects(...texts: string[]): string[] {
  const files = texts.map((text, index) => ({ path: `${'abc'[index]}.yaml`, text }));
  return parseMeshFiles(files).problems.map(({ place, code }) => `${place?.file}:${place?.line ?? ''} ${code}`);
}

const node = (services: string) => `nodes:\n  - name: vm\n    address: 10.0.0.1\n    services:\n${services}`;

const cases: Record<string, [text: string, expected: string[]]> = {
  'an empty file': ['', ['a.yaml: empty-file']],
  'a file of comments': ['# nothing\n', ['a.yaml: empty-file']],
  'broken YAML': ['nodes: [\n  { name: a', ['a.yaml:2 broken-yaml']],
  'two documents': ['nodes: []\n---\nnodes: []', ['a.yaml:2 broken-yaml']],
  'a key twice': ['datacenter: a\nnodes: []\ndatacenter: b', ['a.yaml:3 duplicate-key']],
  'a key in two spellings': ['config_entries:\n  - kind: mesh\n    validate_clusters: true\n    ValidateClusters: true', ['a.yaml:4 duplicate-key']],
  'a list at the top': ['- nodes', ['a.yaml:1 not-a-mesh']],
  'a text at the top': ['HOME=/root', ['a.yaml:1 not-a-mesh']],
  'a map without any key of a mesh': ['root: x\ndaemon: y', ['a.yaml:1 not-a-mesh']],
  'an alias bomb': [
    `a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c]`,
    ['a.yaml: too-many-aliases'],
  ],
  'an unknown key at the top': ['noodes: []', ['a.yaml:1 unknown-key']],
  'an unknown key deep down': [
    'config_entries:\n  - kind: service-defaults\n    name: api\n    upstream_config:\n      defaults:\n        passive_health_check: { intervall: 3s }',
    ['a.yaml:6 unknown-key'],
  ],
  'a wrong type': [node('      - name: web\n        port: "80"\n'), ['a.yaml:6 wrong-type']],
  'a map where a list belongs': ['nodes: { name: a }', ['a.yaml:1 wrong-type']],
  'several defects in one file': [
    'datacentre: dc1\nnodes:\n  - name: vm\n    address: 10.0.0.300\n    services:\n      - port: 80\n      - name: web\n        porrt: 1\nconfig_entries:\n  - kind: service-router\n  - kind: servce-router\n    name: x\n',
    ['a.yaml:1 unknown-key', 'a.yaml:4 invalid-address', 'a.yaml:6 missing-field', 'a.yaml:8 unknown-key', 'a.yaml:10 missing-field', 'a.yaml:11 unknown-kind'],
  ],
  'an intention from an unknown kind of source': [
    'config_entries:\n  - kind: service-intentions\n    name: api\n    sources:\n      - name: web\n        action: allow\n        type: kubernetes',
    ['a.yaml:7 invalid-value'],
  ],
  'an intention without a decision': ['config_entries:\n  - kind: service-intentions\n    name: api\n    sources: [{ name: web }]', ['a.yaml:4 missing-field']],
  'an intention with action and permissions': [
    'config_entries:\n  - kind: service-intentions\n    name: api\n    sources:\n      - name: web\n        action: allow\n        permissions: [{ action: allow, http: { path_prefix: / } }]',
    ['a.yaml:6 conflicting-fields'],
  ],
  'permissions for every destination': [
    'config_entries:\n  - kind: service-intentions\n    name: "*"\n    sources: [{ name: web, permissions: [{ action: deny, http: { path_prefix: / } }] }]',
    ['a.yaml:4 wildcard-permissions'],
  ],
  'half a wildcard': ['config_entries:\n  - kind: service-intentions\n    name: api\n    sources: [{ name: "web*", action: deny }]', ['a.yaml:4 invalid-name']],
  'a source twice': [
    'config_entries:\n  - kind: service-intentions\n    name: api\n    sources:\n      - { name: web, action: deny }\n      - { name: web, action: allow }',
    ['a.yaml:6 duplicate-source'],
  ],
  'a service ID twice': [node('      - name: web\n      - name: api\n        id: web\n'), ['a.yaml:7 duplicate-service-id']],
  "a service ID that is a sidecar's": [
    node('      - name: web\n        connect: { sidecar_service: {} }\n      - name: web-sidecar-proxy\n'),
    ['a.yaml:7 duplicate-service-id'],
  ],
  'two sidecars on one port': [
    node('      - { name: a, connect: { sidecar_service: { port: 21000 } } }\n      - { name: b, connect: { sidecar_service: { port: 21000 } } }\n'),
    ['a.yaml:6 port-conflict'],
  ],
  'a port that is none': [node('      - name: web\n        port: 70000\n'), ['a.yaml:6 invalid-port']],
  'an address that is none': [node('      - name: web\n        address: 10.0.0\n'), ['a.yaml:6 invalid-address']],
  'an address nobody can reach': [node('      - name: web\n        address: 0.0.0.0\n'), ['a.yaml:6 invalid-address']],
  'a node without an address': ['nodes: [{ name: vm }]', ['a.yaml:1 missing-field']],
  'a name that is none': [node('      - name: we b\n'), ['a.yaml:5 invalid-name']],
  'a datacenter that is no part of a host name': ['datacenter: dc.1', ['a.yaml:1 invalid-name']],
  'a trust domain that is no domain': ['trust_domain: spiffe://x', ['a.yaml:1 invalid-name']],
  'a namespace': [node('      - name: web\n        namespace: team-a\n'), ['a.yaml:6 enterprise-only']],
  'an upstream without a listener': [
    node(
      '      - name: web\n        connect:\n          sidecar_service:\n            proxy:\n              upstreams:\n                - destination_name: api\n',
    ),
    ['a.yaml:10 upstream-without-listener'],
  ],
  'upstreams on one port': [
    node(
      '      - name: web\n        connect:\n          sidecar_service:\n            proxy:\n              upstreams:\n                - { destination_name: api, local_bind_port: 5000 }\n                - { destination_name: db, local_bind_port: 5000 }\n',
    ),
    ['a.yaml:11 port-conflict'],
  ],
  'a proxy for nobody': [node('      - { name: p, kind: connect-proxy, port: 20000 }\n'), ['a.yaml:5 missing-field']],
  'a virtual IP that is none': ['virtual_ips: { api: 240.0.0 }', ['a.yaml:1 invalid-virtual-ip']],
  'a virtual IP of this machine': ['virtual_ips: { api: 127.0.0.5 }', ['a.yaml:1 invalid-virtual-ip']],
  'a virtual IP of two services': ['virtual_ips:\n  api: 240.0.0.1\n  db: 240.0.0.1', ['a.yaml:3 duplicate-virtual-ip']],
  'a manual virtual IP of another service': ['virtual_ips: { api: 240.0.0.1 }\nmanual_virtual_ips:\n  db: [240.0.0.1]', ['a.yaml:3 duplicate-virtual-ip']],
  'a duration without a unit': ['config_entries:\n  - kind: service-resolver\n    name: api\n    connect_timeout: 5', ['a.yaml:4 invalid-duration']],
  'a regular expression that Envoy refuses': [
    'config_entries:\n  - kind: service-router\n    name: api\n    routes:\n      - match: { http: { path_regex: "/a(?!b)" } }',
    ['a.yaml:5 invalid-regex'],
  ],
  'a path without its slash': [
    'config_entries:\n  - kind: service-router\n    name: api\n    routes:\n      - match: { http: { path_prefix: admin } }',
    ['a.yaml:5 invalid-path'],
  ],
  'a check without a status': [node('      - name: web\n        checks: [{ http: "http://127.0.0.1/" }]\n'), ['a.yaml:6 check-without-status']],
};

describe('one clear error for', () => {
  test.each(Object.entries(cases))('%s', (_, [text, expected]) => {
    expect(defects(text)).toEqual(expected);
  });
});

describe('across files', () => {
  test('the same entry twice points at both places', () => {
    const entry = 'config_entries:\n  - kind: service-defaults\n    name: api\n';
    const { problems, mesh } = parseMeshFiles([
      { path: 'a.yaml', text: entry },
      { path: 'b.yaml', text: entry },
    ]);
    expect(mesh).toBeUndefined();
    expect(problems).toMatchObject([{ code: 'duplicate-config-entry', place: { file: 'b.yaml', line: 2, object: 'service-defaults/api' } }]);
    expect(problems[0]?.message).toContain('a.yaml:2');
  });

  test('settings of the whole mesh may be repeated, not contradicted', () => {
    expect(defects('datacenter: dc1', 'datacenter: dc1\nnodes: []')).toEqual([]);
    expect(defects('datacenter: dc1', 'nodes: []\ndatacenter: dc2')).toEqual(['b.yaml:2 conflicting-value']);
    expect(defects('default_intention_policy: deny', 'default_intention_policy: allow')).toEqual(['b.yaml:1 conflicting-value']);
  });

  test('one node may be spread over files; its address is said once', () => {
    const files = [
      { path: 'a.yaml', text: 'nodes: [{ name: vm, address: 10.0.0.1, services: [{ name: a, connect: { sidecar_service: {} } }] }]' },
      { path: 'b.yaml', text: 'nodes: [{ name: vm, services: [{ name: b, connect: { sidecar_service: {} } }] }]' },
    ];
    const { mesh } = parseMeshFiles(files);
    expect(mesh?.instances.map(({ id, port, nodeAddress }) => [id, port, nodeAddress])).toEqual([
      ['a', 0, '10.0.0.1'],
      ['a-sidecar-proxy', 21000, '10.0.0.1'],
      ['b', 0, '10.0.0.1'],
      ['b-sidecar-proxy', 21001, '10.0.0.1'],
    ]);
    expect(defects('nodes: [{ name: vm, address: 10.0.0.1 }]', 'nodes: [{ name: vm, address: 10.0.0.2 }]')).toEqual(['b.yaml:1 conflicting-value']);
    expect(defects('nodes: [{ name: vm, address: 10.0.0.1, services: [{ name: a }] }]', 'nodes: [{ name: vm, services: [{ name: a }] }]')).toEqual([
      'b.yaml:1 duplicate-service-id',
    ]);
  });

  test('no file at all is an error', () => {
    expect(parseMeshFiles([]).problems.map(({ code }) => code)).toEqual(['no-mesh-files']);
  });
});

test('hints say what was meant', () => {
  const hint = (text: string) => parseMeshFiles([{ path: 'a.yaml', text }]).problems[0]?.hint;
  expect(hint('noodes: []')).toBe('did you mean "nodes"?');
  expect(hint('config_entries: [{ kind: service-intention, name: a }]')).toBe('did you mean "service-intentions"?');
  expect(hint(node('      - name: web\n        meta: { version: 2 }\n'))).toBe('put it in quotes: "2"');
  expect(hint('config_entries: [{ kind: service-defaults, name: a, mode: transparant }]')).toBe('did you mean "transparent"?');
});
