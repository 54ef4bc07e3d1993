import { writeFileSync } from 'node:fs';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { RESOURCE_TYPES } from '../../src/cache/resource.ts';
import { encode } from '../../src/proto/codec.ts';
import { ADS, nodeOf, rawCall } from '../protocol/grpc-wire.ts';
import { runAdsum, serveAdsum, temporaryFolder, until } from './run-adsum.ts';

const MESH = `
nodes:
  - name: vm-web
    address: 10.0.0.1
    services: [{ name: web, port: 80, connect: { sidecar_service: { proxy: { mode: transparent, config: { bind_port: 20000 } } } } }]
  - name: vm-api
    address: 10.0.0.2
    services: [{ name: api, port: 9090, connect: { sidecar_service: {} } }]
config_entries:
  - { kind: service-intentions, name: api, sources: [{ name: web, action: allow }] }
`;

test('what operators see of a mesh: over HTTP and with the commands', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const adsum = await serveAdsum(file);
  const command = (...args: string[]) => runAdsum([...args, '--admin-addr', adsum.admin]);

  expect((await adsum.get('/healthz')).status).toBe(200);
  expect((await adsum.get('/v1/proxies/web-sidecar-proxy')).body).toMatchObject({
    service: 'web',
    state: 'disconnected',
    redirect: { bind_port: 20000, outbound_port: 15001 },
  });
  expect((await command('proxies')).out).toMatch(/^web-sidecar-proxy on vm-web: disconnected\n/);
  expect((await command('intention', 'check', 'web', 'api')).out).toBe(`web => api: allowed (intention web => api at ${file}:10)\n`);
  expect((await command('intention', 'check', 'api', 'web')).out).toBe('api => web: denied (default policy)\n');

  const dump = await command('config-dump', 'web-sidecar-proxy');
  expect(JSON.parse(dump.out).listeners.map(({ name }: { name: string }) => name)).toEqual([
    'outbound_listener:127.0.0.1:15001',
    'public_listener:0.0.0.0:20000',
  ]);
  expect(dump.out).not.toContain('PRIVATE KEY');
  expect(await command('config-dump', 'nobody')).toMatchObject({ status: 1, err: "adsum: no proxy 'nobody' is registered or connected\n" });

  const metrics = await (await fetch(`${adsum.admin}/metrics`)).text();
  expect(metrics).toContain('adsum_proxies{state="disconnected"} 2');
  expect(metrics).toContain('adsum_mesh_stale 0');

  expect((await command('ca', 'issue', '--service', 'web', '--out', path.join(folder, 'leaf'))).out).toMatch(
    /^spiffe:\/\/[0-9a-f-]+\.consul\/ns\/default\/dc\/dc1\/svc\/web until /,
  );
  expect((await command('ca', 'rotate')).out.trim().split('\n')).toHaveLength(2);
  expect(await command('ca', 'rotate')).toMatchObject({ status: 1 });
});

test('Envoys that adsum was not tried with, in `adsum proxies` and /v1/proxies with the reason', async () => {
  const file = path.join(temporaryFolder(), 'mesh.yaml');
  writeFileSync(file, MESH);
  const adsum = await serveAdsum(file);
  const client = new grpc.Client(adsum.grpc, grpc.credentials.createInsecure());
  const connect = (id: string, version: [number, number, number]) => {
    const call = rawCall(client, ADS.delta);
    const status = new Promise<grpc.StatusObject>((ended) => call.on('status', ended));
    call.on('data', () => {}).on('error', () => {});
    call.write(
      Buffer.from(
        encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { node: { ...nodeOf(id, version), metadata: {} }, type_url: RESOURCE_TYPES.cluster }),
      ),
    );
    return status;
  };
  const tooOld = 'Envoy 1.32.3 is too old: adsum was tried with 1.36 to 1.40, and one before 1.33 may ignore what protects a service';
  expect(await connect('web-sidecar-proxy', [1, 32, 3])).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, details: tooOld });
  await connect('stranger', [1, 32, 3]);
  void connect('api-sidecar-proxy', [1, 41, 0]);
  await until(async () => ((await adsum.get('/v1/proxies/api-sidecar-proxy')).body as { state: string }).state === 'connected');

  const { out } = await runAdsum(['proxies', '--admin-addr', adsum.admin]);
  expect(out).toMatch(/^web-sidecar-proxy on vm-web: disconnected\n {2}REFUSED at \S+, 127\.0\.0\.1:\d+: Envoy 1\.32\.3 is too old: /);
  expect(out).toMatch(/^stranger: disconnected\n {2}REFUSED at \S+, \S+: Envoy 1\.32\.3 is too old: /m);
  expect(out).toMatch(/^ {2}Envoy 1\.41\.0 at .*\n {4}WARNING: Envoy 1\.41\.0 is newer than any that adsum was tried with \(1\.36 to 1\.40\)\n/m);
  expect((await adsum.get('/v1/proxies/api-sidecar-proxy')).body).toMatchObject({
    streams: [{ envoy_version: '1.41.0', warning: expect.stringContaining('newer than any') }],
  });
  client.close();
});
