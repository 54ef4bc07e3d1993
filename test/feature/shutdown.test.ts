import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { RESOURCE_TYPES } from '../../src/cache/resource.ts';
import { ADS, encodeSent, rawCall, readGot } from '../protocol/grpc-wire.ts';
import { runAdsum, serveAdsum, temporaryFolder, until } from './run-adsum.ts';

const MESH = 'nodes: [{ name: vm-web, address: 10.0.0.1, services: [{ name: web, port: 80, connect: { sidecar_service: {} } }] }]';

function meshFile(): string {
  const file = path.join(temporaryFolder(), 'mesh.yaml');
  writeFileSync(file, MESH);
  return file;
}

test('after SIGTERM /readyz says no first, while streams are served on; then they are told to go elsewhere', async () => {
  const adsum = await serveAdsum(meshFile(), { args: ['--shutdown-delay', '2s'] });
  const client = new grpc.Client(adsum.grpc, grpc.credentials.createInsecure());
  const call = rawCall(client, ADS.delta);
  let clusters = 0;
  call.on('data', (bytes: Buffer) => {
    clusters += readGot('delta', bytes).resources.length;
  });
  let ended: grpc.StatusObject | undefined;
  call.on('status', (status: grpc.StatusObject) => {
    ended = status;
  });
  call.write(encodeSent('delta', RESOURCE_TYPES.cluster, {}, true));
  await until(() => clusters > 0);

  const stopped = adsum.stop();
  await until(async () => (await adsum.get('/readyz')).status === 503);
  expect((await adsum.get('/readyz')).body).toEqual({ ready: false, mesh: 'fresh', reason: 'adsum is shutting down' });
  expect((await adsum.get('/healthz')).status).toBe(200);
  expect(ended).toBeUndefined();
  const before = clusters;
  call.write(encodeSent('delta', RESOURCE_TYPES.cluster, { subscribe: ['*'] }, false));
  await until(() => clusters > before);
  expect(await stopped).toBe(0);
  await until(() => ended !== undefined);
  expect(ended).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'adsum is shutting down' });
  client.close();
});

test('a delay that is none is wrong usage', async () => {
  const { status, err } = await runAdsum(['serve', '--mesh', meshFile(), '--shutdown-delay', 'soon', '--data-dir', temporaryFolder()]);
  expect(status).toBe(2);
  expect(err).toContain('--shutdown-delay soon is no duration');
});

test('systemd is told by its own tool: ready, alive, stopping', async () => {
  const folder = temporaryFolder();
  const told = path.join(folder, 'told');
  writeFileSync(path.join(folder, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${told}\n`);
  chmodSync(path.join(folder, 'systemd-notify'), 0o755);
  const before = { ...process.env };
  Object.assign(process.env, { PATH: `${folder}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/notify' });
  try {
    const adsum = await serveAdsum(meshFile(), { env: { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '300000' } });
    const lines = () => {
      try {
        return readFileSync(told, 'utf8').trim().split('\n');
      } catch {
        return [];
      }
    };
    await until(() => lines().filter((line) => line.endsWith('WATCHDOG=1')).length >= 2);
    expect(lines()[0]).toBe(`/run/notify READY=1 STATUS=xDS on ${adsum.grpc}`);
    expect(await adsum.stop()).toBe(0);
    await until(() => lines().some((line) => line.startsWith('/run/notify STOPPING=1')));
  } finally {
    process.env = before;
  }
});
