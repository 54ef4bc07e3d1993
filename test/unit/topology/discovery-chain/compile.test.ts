import { describe, expect, test } from 'vitest';
import type { ConfigEntries } from '../../../../src/mesh/mesh.ts';
import type { ChainOverrides } from '../../../../src/topology/discovery-chain/chain.ts';
import { compileDiscoveryChain } from '../../../../src/topology/discovery-chain/compile.ts';
import { entriesOf, HTTP } from './entries.ts';

const NAMES = 'default.default.dc1';

function compile(entries: ConfigEntries, overrides: ChainOverrides = {}, service = 'api') {
  return compileDiscoveryChain({ service, entries, datacenter: 'dc1', trustDomain: 'td.consul', overrides });
}

function chainOf(...args: Parameters<typeof compile>) {
  const { chain, problems } = compile(...args);
  expect(problems).toEqual([]);
  if (!chain) throw new Error('no chain');
  return chain;
}

const codes = (...args: Parameters<typeof compile>) => compile(...args).problems.map(({ code }) => code);
const resolver = (name: string, settings: object) => ({ kind: 'service-resolver', name, ...settings }) as const;
const splitter = (name: string, ...splits: object[]) => ({ kind: 'service-splitter', name, splits }) as const;
const router = (name: string, ...routes: object[]) => ({ kind: 'service-router', name, routes }) as const;

describe('a chain without entries', () => {
  test('ends at the service itself', () => {
    const chain = chainOf(entriesOf());
    expect(chain).toMatchObject({ protocol: 'tcp', default: true, start_node: `resolver:api.${NAMES}` });
    expect(chain.customization_hash).toBeUndefined();
    expect([...chain.targets.values()]).toMatchObject([
      { id: `api.${NAMES}`, sni: 'api.default.dc1.internal.td.consul', name: 'api.default.dc1.internal.td.consul', connect_timeout_ms: 5000 },
    ]);
  });

  test('is still the default one with a resolver that sets nothing, and is not with a load balancer that sets nothing', () => {
    expect(chainOf(entriesOf(resolver('api', {}))).default).toBe(true);
    expect(chainOf(entriesOf(resolver('api', { load_balancer: {} }))).default).toBe(false);
  });

  test('has the external SNI, but is named as ever', () => {
    const target = chainOf(entriesOf({ kind: 'service-defaults', name: 'api', external_sni: 'api.example' })).targets.get(`api.${NAMES}`);
    expect(target).toMatchObject({ external: true, sni: 'api.example', name: 'api.default.dc1.internal.td.consul' });
  });

  test('speaks what service-defaults say, and tcp if they say nothing although proxy-defaults do', () => {
    expect(chainOf(entriesOf(HTTP)).protocol).toBe('http');
    expect(chainOf(entriesOf(HTTP, { kind: 'service-defaults', name: 'api', protocol: 'grpc' })).protocol).toBe('grpc');
    expect(chainOf(entriesOf(HTTP, { kind: 'service-defaults', name: 'api' })).protocol).toBe('tcp');
  });
});

describe('resolvers', () => {
  const subsets = { v1: { filter: 'Service.Meta.version == v1' }, v2: { only_passing: true } };

  test('the default subset stands for the service', () => {
    const chain = chainOf(entriesOf(resolver('api', { default_subset: 'v1', subsets })));
    expect(chain).toMatchObject({ default: false, start_node: `resolver:v1.api.${NAMES}` });
    expect([...chain.targets.values()]).toMatchObject([{ subset: { filter: 'Service.Meta.version == v1', only_passing: false } }]);
  });

  test('redirects are followed to the end, with its subset and its settings', () => {
    const entries = entriesOf(
      resolver('api', { redirect: { service: 'middle' }, connect_timeout: '1s' }),
      resolver('middle', { redirect: { service: 'end', service_subset: 'v2' } }),
      resolver('end', { subsets, default_subset: 'v1', connect_timeout: '7s', request_timeout: '2s' }),
    );
    const chain = chainOf(entries);
    expect(chain.nodes.get(chain.start_node)).toMatchObject({ target: `v2.end.${NAMES}`, connect_timeout_ms: 7000, request_timeout_ms: 2000 });
    expect([...chain.targets.keys()]).toEqual([`v2.end.${NAMES}`]);
  });

  test('a redirect to a service without settings is no default chain', () => {
    expect(chainOf(entriesOf(resolver('api', { redirect: { service: 'other' } }))).default).toBe(false);
  });

  test('a redirect to the same service elsewhere is followed once', () => {
    const chain = chainOf(entriesOf(resolver('api', { redirect: { datacenter: 'dc2' } })));
    expect([...chain.targets.values()]).toMatchObject([{ id: 'api.default.default.dc2', sni: 'api.default.dc2.internal.td.consul' }]);
  });

  test('circles of redirects are refused', () => {
    const entries = entriesOf(resolver('api', { redirect: { service: 'b' } }), resolver('b', { redirect: { service: 'api' } }));
    expect(compile(entries).chain).toBeUndefined();
    expect(codes(entries)).toEqual(['chain-circular']);
  });

  test('failover goes to each datacenter in turn, without its own', () => {
    const failover = { v1: { service_subset: 'v2', datacenters: ['dc2', 'dc1'] }, '*': { service: 'never' } };
    const chain = chainOf(entriesOf(resolver('api', { default_subset: 'v1', subsets, failover })));
    expect(chain.nodes.get(chain.start_node)).toMatchObject({ failover: ['v2.api.default.default.dc2', `v2.api.${NAMES}`] });
  });

  test('failover targets are redirected, but have no failover of their own', () => {
    const entries = entriesOf(
      resolver('api', { failover: { '*': { targets: [{ service: 'api' }, { service: 'b' }, { datacenter: 'dc2' }] } } }),
      resolver('b', { redirect: { service: 'c' } }),
      resolver('c', { failover: { '*': { service: 'd' } } }),
    );
    const chain = chainOf(entries);
    expect(chain.nodes.get(chain.start_node)).toMatchObject({ failover: [`c.${NAMES}`, 'api.default.default.dc2'] });
    expect([...chain.nodes.keys()]).toEqual([`resolver:api.${NAMES}`]);
    expect([...chain.targets.keys()].sort()).toEqual([`api.${NAMES}`, 'api.default.default.dc2', `c.${NAMES}`]);
  });

  test('a subset that nobody defines, an external service with subsets, and a peer are refused', () => {
    expect(codes(entriesOf(resolver('api', { default_subset: 'v9', subsets })))).toEqual(['unknown-subset']);
    expect(codes(entriesOf(resolver('api', { subsets }), { kind: 'service-defaults', name: 'api', external_sni: 'x' }))).toEqual(['external-sni-conflict']);
    expect(codes(entriesOf(resolver('api', { redirect: { peer: 'other' } })))).toEqual(['peer-unsupported']);
  });

  test('a failover target in a peer is left out with a warning', () => {
    const { chain, problems } = compile(entriesOf(resolver('api', { failover: { '*': { targets: [{ peer: 'other' }, { service: 'b' }] } } })));
    expect(problems).toMatchObject([{ code: 'peer-unsupported', severity: 'warning' }]);
    expect(chain?.nodes.get(chain.start_node)).toMatchObject({ failover: [`b.${NAMES}`] });
  });
});

describe('splitters', () => {
  test('splits of splits are multiplied out in steps of 0.01 %, with the header changes of both', () => {
    const entries = entriesOf(
      HTTP,
      splitter(
        'api',
        { weight: 33.33, service: 'a', request_headers: { set: { x: 'outer', z: '1' }, remove: ['r'] }, response_headers: { set: { x: 'outer' } } },
        { weight: 66.67 },
      ),
      splitter(
        'a',
        { weight: 33.33, request_headers: { set: { x: 'inner' }, remove: ['r', 's'] }, response_headers: { set: { x: 'inner' } } },
        { weight: 66.67, service: 'b' },
      ),
    );
    const chain = chainOf(entries);
    expect([...chain.nodes.keys()].sort()).toEqual([`resolver:a.${NAMES}`, `resolver:api.${NAMES}`, `resolver:b.${NAMES}`, 'splitter:api.default.default']);
    expect(chain.nodes.get(chain.start_node)).toMatchObject({
      splits: [
        {
          weight: Math.fround(11.11),
          next_node: `resolver:a.${NAMES}`,
          request_headers: { set: { x: 'inner', z: '1' }, remove: ['r', 's'] },
          response_headers: { set: { x: 'outer' } },
        },
        { weight: Math.fround(22.22), next_node: `resolver:b.${NAMES}`, request_headers: { set: { x: 'outer', z: '1' } } },
        { weight: Math.fround(66.67), next_node: `resolver:api.${NAMES}` },
      ],
    });
  });

  test('the first hash-based load balancer among the splits is that of the split', () => {
    const maglev = { load_balancer: { policy: 'maglev' } };
    const entries = entriesOf(
      HTTP,
      splitter('api', { weight: 50 }, { weight: 50, service: 'b' }),
      resolver('api', { load_balancer: { policy: 'random' } }),
      resolver('b', maglev),
    );
    const chain = chainOf(entries);
    expect(chain.nodes.get(chain.start_node)).toMatchObject(maglev);
  });

  test('circles are refused, a service splitting to itself is none', () => {
    const circle = entriesOf(HTTP, splitter('api', { weight: 100, service: 'b' }), splitter('b', { weight: 100, service: 'api' }));
    expect(codes(circle)).toEqual(['chain-circular']);
    expect(chainOf(entriesOf(HTTP, splitter('api', { weight: 100, service: 'api' }))).targets.size).toBe(1);
  });

  test('need a protocol with requests, the same for every end', () => {
    expect(codes(entriesOf(splitter('api', { weight: 100 })))).toEqual(['chain-needs-http']);
    const mixed = entriesOf(HTTP, splitter('api', { weight: 50 }, { weight: 50, service: 'b' }), { kind: 'service-defaults', name: 'b', protocol: 'grpc' });
    expect(codes(mixed)).toEqual(['chain-protocol-mismatch']);
    expect(compile(mixed).chain).toBeUndefined();
  });

  test('that multiply beyond all measure are refused', () => {
    const levels = Array.from({ length: 20 }, (_, level) =>
      splitter(`s${level}`, { weight: 50, service: `s${level + 1}` }, { weight: 50, service: `t${level + 1}` }),
    );
    const twins = Array.from({ length: 20 }, (_, level) =>
      splitter(`t${level}`, { weight: 50, service: `s${level + 1}` }, { weight: 50, service: `t${level + 1}` }),
    );
    expect(codes(entriesOf(HTTP, ...levels, ...twins), {}, 's0')).toContain('chain-too-large');
  });
});

describe('routers', () => {
  test('routes end at subsets, at splitters, and at last at the service itself', () => {
    const entries = entriesOf(
      HTTP,
      router('api', { match: { http: { path_prefix: '/a' } }, destination: { service: 'b', service_subset: 'v2' } }, { destination: { service: 's' } }),
      resolver('b', { subsets: { v2: {} } }),
      splitter('s', { weight: 100 }),
      router('s', { destination: { service: 'never' } }),
    );
    const chain = chainOf(entries);
    expect(chain).toMatchObject({ default: false, start_node: 'router:api.default.default' });
    const start = chain.nodes.get(chain.start_node);
    expect(start?.type === 'router' && start.routes.map(({ next_node }) => next_node)).toEqual([
      `resolver:v2.b.${NAMES}`,
      'splitter:s.default.default',
      `resolver:api.${NAMES}`,
    ]);
  });
});

describe('overrides', () => {
  test('name the clusters only where they change something', () => {
    const entries = entriesOf(resolver('api', { connect_timeout: '2s' }));
    expect(chainOf(entries, { connect_timeout_ms: 2000, protocol: 'tcp' }).customization_hash).toBeUndefined();
    const chain = chainOf(entries, { connect_timeout_ms: 1500 });
    expect(chain.customization_hash).toBe('24bc9c2e');
    expect(chain.nodes.get(chain.start_node)).toMatchObject({ connect_timeout_ms: 1500 });
  });

  test('a protocol without requests takes routes and splits away', () => {
    const entries = entriesOf(HTTP, router('api', { destination: { service: 'b' } }), splitter('api', { weight: 100, service: 'b' }));
    expect(chainOf(entries, { protocol: 'tcp' })).toMatchObject({ protocol: 'tcp', start_node: `resolver:api.${NAMES}`, customization_hash: '96f2c150' });
  });

  test('the mesh gateway mode of the caller wins, except for external services', () => {
    const remote = { kind: 'service-defaults', name: 'api', mesh_gateway: { mode: 'remote' } } as const;
    expect([...chainOf(entriesOf(remote)).targets.values()]).toMatchObject([{ mesh_gateway: { mode: 'remote' } }]);
    const chain = chainOf(entriesOf(remote), { mesh_gateway_mode: 'local' });
    expect(chain.customization_hash).toBe('c225dc1c');
    expect([...chain.targets.values()]).toMatchObject([{ mesh_gateway: { mode: 'local' } }]);
    const external = chainOf(entriesOf({ ...remote, external_sni: 'x' }), { mesh_gateway_mode: 'local' });
    expect([...external.targets.values()]).toMatchObject([{ mesh_gateway: { mode: '' } }]);
  });
});
