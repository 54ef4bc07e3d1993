import { expect, test } from 'vitest';
import { type BootstrapInput, buildBootstrap } from '../../../src/envoy/bootstrap.ts';
import type { TokenSource } from '../../../src/envoy/bootstrap-secrets.ts';
import { buildStatsTags } from '../../../src/envoy/bootstrap-stats-tags.ts';
import { encode } from '../../../src/proto/codec.ts';

const input: BootstrapInput = {
  proxyId: 'web-1-sidecar-proxy',
  service: 'web',
  datacenter: 'dc1',
  controlPlane: { kind: 'ip', host: '127.0.0.1', port: 18000 },
  admin: { address: '127.0.0.1', port: 19000 },
  ipv6: true,
  maxDownstreamConnections: 1000,
};

test('says who it is and waits for the control plane for ever', () => {
  const bootstrap = buildBootstrap({ ...input, nodeName: 'vm-web' });
  expect(bootstrap.node).toEqual({
    id: 'web-1-sidecar-proxy',
    cluster: 'web',
    metadata: { namespace: 'default', partition: 'default', ipv6: true, node_name: 'vm-web' },
  });
  expect(bootstrap.dynamic_resources?.lds_config?.initial_fetch_timeout).toBe('0s');
  expect(bootstrap.dynamic_resources?.cds_config?.initial_fetch_timeout).toBe('0s');
});

test.each([
  ['an IP address', input.controlPlane, 'STATIC', { socket_address: { address: '127.0.0.1', port_value: 18000 } }],
  ['a DNS name', { kind: 'dns', host: 'adsum.example', port: 1 }, 'STRICT_DNS', { socket_address: { address: 'adsum.example', port_value: 1 } }],
  ['a Unix socket', { kind: 'unix', path: '/run/adsum.sock' }, 'STATIC', { pipe: { path: '/run/adsum.sock' } }],
] as const)('the control plane may be %s', (_what, controlPlane, type, address) => {
  const bootstrap = buildBootstrap({ ...input, controlPlane });
  const cluster = bootstrap.static_resources?.clusters?.[0];
  expect(cluster?.type).toBe(type);
  expect(cluster?.load_assignment?.endpoints?.[0]?.lb_endpoints?.[0]?.endpoint?.address).toEqual(address);
  expect(() => encode('envoy.config.bootstrap.v3.Bootstrap', bootstrap)).not.toThrow();
});

test('TLS insists on the address dialed, never only on a trusted CA', () => {
  const tls = (controlPlane: BootstrapInput['controlPlane']) =>
    buildBootstrap({ ...input, controlPlane, tlsCa: 'PEM' }).static_resources?.clusters?.[0]?.transport_socket?.typed_config;
  expect(tls(input.controlPlane)).toMatchObject({
    common_tls_context: { validation_context: { match_typed_subject_alt_names: [{ san_type: 'IP_ADDRESS', matcher: { exact: '127.0.0.1' } }] } },
  });
  expect(tls({ kind: 'dns', host: 'adsum.example', port: 1 })).toMatchObject({
    sni: 'adsum.example',
    common_tls_context: { validation_context: { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'adsum.example' } }] } },
  });
});

test('the token travels as x-consul-token, and only when there is one', () => {
  const text = (token?: TokenSource) => JSON.stringify(buildBootstrap({ ...input, ...(token ? { token } : {}) }));
  expect(text({ inline: 'secret' })).toContain('"secrets":[{"name":"adsum_token","generic_secret":{"secret":{"inline_string":"secret"}}}]');
  expect(text({ inline: 'secret' }).split('secret"}').length).toBe(2);
  expect(text({ file: '/etc/t' })).toContain('"generic_secret":{"secret":{"filename":"/etc/t"}}');
  expect(text({ file: '/etc/adsum/t', sds: '/run/s' })).toContain('"path_config_source":{"path":"/run/s","watched_directory":{"path":"/etc/adsum"}}');
  expect(text()).not.toContain('x-consul-token');
});

/** What Envoy does with the tags: the second group is the value, the first is cut out of the name. */
function tagsOf(metric: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { tag_name, regex } of buildStatsTags({ service: 'web', namespace: 'default', partition: 'default', datacenter: 'dc1' })) {
    const value = tag_name && regex ? (new RegExp(regex).exec(metric)?.[2] ?? undefined) : undefined;
    if (tag_name && value !== undefined) found[tag_name] = value;
  }
  return found;
}

test('metrics of a cluster carry its parts as tags, under the names of Consul', () => {
  expect(tagsOf('cluster.passthrough~v2.api.default.dc1.internal.1234.consul.upstream_cx_total')).toEqual({
    'consul.destination.service_subset': 'v2',
    'consul.destination.service': 'api',
    'consul.destination.namespace': 'default',
    'consul.destination.datacenter': 'dc1',
    'consul.destination.routing_type': 'internal',
    'consul.destination.trust_domain': '1234',
    'consul.destination.target': 'v2.api.default.dc1',
    'consul.destination.full_target': 'v2.api.default.dc1.internal.1234',
    // The old tags know no passthrough prefix and read it as a hash.
    'consul.custom_hash': 'passthrough',
    'consul.service_subset': 'v2',
    'consul.service': 'api',
    'consul.namespace': 'default',
    'consul.datacenter': 'dc1',
    'consul.routing_type': 'internal',
    'consul.trust_domain': '1234',
    'consul.target': 'passthrough~v2.api.default.dc1',
    'consul.full_target': 'passthrough~v2.api.default.dc1.internal.1234',
  });
  expect(tagsOf('cluster.api.default.peer1.external.1234.consul.upstream_cx_total')).toMatchObject({ 'consul.destination.peer': 'peer1' });
});

test('metrics of an upstream listener carry its service and datacenter', () => {
  expect(tagsOf('tcp.upstream.api.default.default.dc1.downstream_cx_total')).toEqual({
    'consul.upstream.service': 'api',
    'consul.upstream.namespace': 'default',
    'consul.upstream.partition': 'default',
    'consul.upstream.datacenter': 'dc1',
  });
});

test('applications of the host may hold three quarters of the connections, so that callers still get in', () => {
  const limits = (more: Partial<BootstrapInput>) => buildBootstrap({ ...input, ...more }).layered_runtime?.layers?.[0]?.static_layer;
  expect(limits({})).toMatchObject({ 'envoy.resource_limits.listener.outbound_listener:127.0.0.1:15001.connection_limit': 750 });
  expect(limits({ outboundPort: 16_001, maxDownstreamConnections: 1 })).toMatchObject({
    'envoy.resource_limits.listener.outbound_listener:127.0.0.1:16001.connection_limit': 1,
  });
});
