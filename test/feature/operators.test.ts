import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { runAdsum, serveAdsum, temporaryFolder } from './run-adsum.ts';

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
