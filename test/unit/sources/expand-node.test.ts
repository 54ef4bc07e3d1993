import { describe, expect, test } from 'vitest';
import { MeshFileParser, parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';

function instancesOf(text: string) {
  const { mesh, problems } = parseMeshFiles([{ path: 'mesh.yaml', text }]);
  expect(problems).toEqual([]);
  return Object.fromEntries((mesh?.instances ?? []).map((instance) => [instance.id, instance]));
}

const vm = (services: string, rest = '') => `nodes: [{ name: vm, address: 10.0.0.1, ${rest} services: [${services}] }]`;

describe('a sidecar', () => {
  test('is named, addressed and linked as a Consul agent does it', () => {
    const { 'api-1-sidecar-proxy': sidecar } = instancesOf(
      vm(
        '{ name: api, id: api-1, port: 9090, address: 10.0.0.9, tags: [blue], meta: { version: v1 }, connect: { sidecar_service: { proxy: { mode: transparent } } } }',
      ),
    );
    expect(sidecar).toMatchObject({
      service: 'api-sidecar-proxy',
      kind: 'connect-proxy',
      address: '10.0.0.9',
      port: 21000,
      tags: ['blue'],
      meta: { version: 'v1' },
      weights: { passing: 1, warning: 1 },
      proxy: {
        mode: 'transparent',
        destination_service_name: 'api',
        destination_service_id: 'api-1',
        local_service_address: '127.0.0.1',
        local_service_port: 9090,
        upstreams: [],
      },
    });
  });

  test('keeps what it says itself', () => {
    const { 'api-sidecar-proxy': sidecar } = instancesOf(
      vm(
        '{ name: api, port: 9090, tags: [blue], connect: { sidecar_service: { name: api-proxy, port: 20000, address: 10.0.0.8, tags: [red], meta: { a: b }, weights: { passing: 7 }, proxy: { local_service_port: 1, local_service_address: 127.0.0.2 } } } }',
      ),
    );
    expect(sidecar).toMatchObject({
      service: 'api-proxy',
      port: 20000,
      address: '10.0.0.8',
      tags: ['red'],
      meta: { a: 'b' },
      weights: { passing: 7, warning: 1 },
      proxy: { local_service_port: 1, local_service_address: '127.0.0.2' },
    });
  });

  test('takes the first port that nobody on its node asks for', () => {
    const instances = instancesOf(
      vm(
        '{ name: a, port: 21000, connect: { sidecar_service: {} } }, { name: b, connect: { sidecar_service: {} } }, { name: c, connect: { sidecar_service: { port: 21002 } } }, { name: d, connect: { sidecar_service: {} } }',
      ),
    );
    expect(['a', 'b', 'c', 'd'].map((id) => instances[`${id}-sidecar-proxy`]?.port)).toEqual([21001, 21003, 21002, 21004]);
  });
});

describe('health', () => {
  test("is the worst of the service's and the node's checks; a sidecar's is no better than its service's", () => {
    const instances = instancesOf(
      vm(
        '{ name: a, checks: [{ status: passing }, { status: critical }], connect: { sidecar_service: {} } }, { name: b, connect: { sidecar_service: { checks: [{ status: critical }] } } }, { name: c, kind: connect-proxy, port: 1, check: { alias_service: a }, proxy: { destination_service_name: a } }',
        'checks: [{ status: warning }],',
      ),
    );
    expect(Object.fromEntries(Object.values(instances).map(({ id, health }) => [id, health]))).toEqual({
      a: 'critical',
      'a-sidecar-proxy': 'critical',
      b: 'warning',
      'b-sidecar-proxy': 'critical',
      c: 'critical',
    });
  });
});

test('check definitions keep their IDs, for expose.checks', () => {
  const { api } = instancesOf(
    vm('{ name: api, checks: [{ check_id: h, http: "http://127.0.0.1/", status: passing }, { grpc: "127.0.0.1:1", status: passing }] }', 'agent_local: true,'),
  );
  expect(api?.agentLocal).toBe(true);
  expect(api?.checks).toEqual([
    { id: 'h', http: 'http://127.0.0.1/' },
    { id: 'service:api:2', grpc: '127.0.0.1:1' },
  ]);
});

test('tagged addresses without a port have the port of the service', () => {
  const { api } = instancesOf(vm('{ name: api, port: 9090, tagged_addresses: { virtual: { address: 172.20.0.1 }, wan: { address: a.example, port: 1 } } }'));
  expect(api?.taggedAddresses).toEqual({ virtual: { address: '172.20.0.1', port: 9090 }, wan: { address: 'a.example', port: 1 } });
});

test('an instance of an unchanged node is the same object in the next mesh', () => {
  const parser = new MeshFileParser();
  const file = (name: string, port: number) => ({
    path: `${name}.yaml`,
    text: `nodes: [{ name: vm-${name}, address: 10.0.0.1, services: [{ name: ${name}, port: ${port} }] }]`,
  });
  const before = parser.parse([file('a', 1), file('b', 1)]).mesh?.instances;
  const after = parser.parse([file('a', 1), file('b', 2)]).mesh?.instances;
  expect(after?.[0]).toBe(before?.[0]);
  expect(after?.[1]).not.toBe(before?.[1]);
});
