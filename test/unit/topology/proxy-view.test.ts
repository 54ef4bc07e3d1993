import { describe, expect, it } from 'vitest';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';
import type { ProxyView } from '../../../src/topology/proxy-view.ts';
import { resolveProxyView } from '../../../src/topology/resolve-proxy-view.ts';
import { findProxies } from '../../../src/topology/topology.ts';
import { allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp } from '../../../src/topology/virtual-ips.ts';

/** One transparent service per VM: `[name, address, what its sidecar sets]`. */
type Host = readonly [name: string, address: string, sidecar?: { readonly proxy?: object }];

function viewOf(id: string, hosts: readonly Host[], entries: readonly object[], more: object = {}): ProxyView {
  const nodes = hosts.map(([name, address, { proxy, ...sidecar } = {}]) => ({
    name: `vm-${address}`,
    address,
    services: [{ name, port: 8080, connect: { sidecar_service: { proxy: { mode: 'transparent', ...proxy }, ...sidecar } } }],
  }));
  const text = JSON.stringify({ nodes, config_entries: entries, ...more });
  const { mesh, problems } = parseMeshFiles([{ path: 'mesh.json', text }]);
  if (!mesh) throw new Error(JSON.stringify(problems));
  const { assigned } = allocateVirtualIps(NO_VIRTUAL_IPS, namesNeedingVirtualIp(mesh), { pinned: mesh.pinnedVirtualIps, now: 0 });
  const topology = buildTopology(mesh, { trustDomain: 'mesh.test', virtualIps: new Map(Object.entries(assigned)) });
  const [proxy] = findProxies(topology, id);
  if (!proxy) throw new Error(`no ${id}`);
  return resolveProxyView(topology, proxy);
}

const allow = (name: string, ...sources: string[]) => ({
  kind: 'service-intentions',
  name,
  sources: sources.map((source) => ({ name: source, action: 'allow' })),
});
const hosts: Host[] = [
  ['web', '10.0.0.1'],
  ['api', '10.0.0.2'],
  ['db', '10.0.0.3'],
];
const upstreamsOf = (view: ProxyView) => view.upstreams.map(({ name }) => name);
const deniedBy = (view: ProxyView) => view.transparent?.deniedRanges.map(({ address, prefixLength }) => `${address}/${prefixLength}`);

describe('whom a transparent sidecar calls', () => {
  it('follows from intentions, wildcards included, and is never itself', () => {
    expect(upstreamsOf(viewOf('web-sidecar-proxy', hosts, [allow('*', 'web')]))).toEqual(['api', 'db']);
    expect(upstreamsOf(viewOf('web-sidecar-proxy', hosts, [allow('api', '*')]))).toEqual(['api']);
    expect(upstreamsOf(viewOf('api-sidecar-proxy', hosts, [allow('api', '*')]))).toEqual([]);
  });

  it('includes what has permissions, whatever they say', () => {
    const permissions = [{ action: 'deny', http: { path_prefix: '/' } }];
    const entries = [
      { kind: 'service-defaults', name: 'api', protocol: 'http' },
      { kind: 'service-intentions', name: 'api', sources: [{ name: 'web', permissions }] },
    ];
    expect(upstreamsOf(viewOf('web-sidecar-proxy', hosts, entries))).toEqual(['api']);
  });

  it('includes an explicit upstream that is denied, but leads captured traffic there only if it is allowed', () => {
    const explicit: Host[] = [['web', '10.0.0.1', { proxy: { upstreams: [{ destination_name: 'api', local_bind_port: 5000 }] } }], ...hosts.slice(1)];
    const [denied] = viewOf('web-sidecar-proxy', explicit, []).upstreams;
    expect(denied).toMatchObject({ name: 'api', listener: { address: '127.0.0.1', port: 5000 }, virtualAddresses: [] });
    const [allowed] = viewOf('web-sidecar-proxy', explicit, [allow('api', 'web')]).upstreams;
    expect(allowed).toMatchObject({ listener: { port: 5000 }, virtualAddresses: ['240.0.0.1'] });
  });
});

describe('what it refuses', () => {
  it('is every virtual IP, and virtual addresses elsewhere that it may not reach', () => {
    const more = { manual_virtual_ips: { api: ['172.30.0.1'], db: ['172.30.0.2', 'fd00::2'] } };
    expect(deniedBy(viewOf('web-sidecar-proxy', hosts, [allow('api', 'web')], more))).toEqual(['240.0.0.0/4', '172.30.0.2/32', 'fd00::2/128']);
  });

  it('is an instance dialed directly that it may not call, but not its own host nor its own service', () => {
    const headless = { proxy: { transparent_proxy: { dialed_directly: true } } };
    const some: Host[] = [
      ['web', '10.0.0.1'],
      ['db', '10.0.0.3', headless],
      ['cache', '10.0.0.4', headless],
    ];
    const entries = [allow('cache', 'web')];
    expect(deniedBy(viewOf('web-sidecar-proxy', some, entries))).toEqual(['240.0.0.0/4', '10.0.0.3/32']);
    expect(deniedBy(viewOf('db-sidecar-proxy', some, entries))).toEqual(['240.0.0.0/4', '10.0.0.4/32']);
  });
});

describe('settings', () => {
  it('of the registration win over service-defaults, those over proxy-defaults; zeros say nothing', () => {
    const own: Host[] = [['web', '10.0.0.1', { proxy: { config: { local_connect_timeout_ms: 1, max_inbound_connections: 0 } } }]];
    const { inbound } = viewOf('web-sidecar-proxy', own, [
      { kind: 'proxy-defaults', name: 'global', config: { local_connect_timeout_ms: 3, max_inbound_connections: 3, local_request_timeout_ms: 3 } },
      { kind: 'service-defaults', name: 'web', local_connect_timeout_ms: 2, max_inbound_connections: 2 },
    ]);
    expect(inbound.tuning).toMatchObject({ localConnectTimeoutMs: 1, maxInboundConnections: 2, localRequestTimeoutMs: 3 });
  });
});
