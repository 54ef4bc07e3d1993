import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { AdminApi } from '../../../src/admin/admin-api.ts';
import { type AdminServer, startAdminServer } from '../../../src/admin/admin-server.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';

let server: AdminServer;
let dir: string;
const sockets: Socket[] = [];

async function start(requestMs: number): Promise<void> {
  dir = mkdtempSync(path.join(tmpdir(), 'adsum-admin-'));
  const api = { readiness: () => ({ ready: true, mesh: 'fresh' }) } as unknown as AdminApi;
  const socket = path.join(dir, 'admin.sock');
  server = await startAdminServer({ host: '127.0.0.1', port: 0, socket, api, metrics: createMetrics(), observe: () => {}, requestMs });
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
  rmSync(dir, { recursive: true });
});

function dial(to: { port: number } | { path: string }, text = ''): { answer: () => string; closed: Promise<void> } {
  const socket = 'path' in to ? connect(to.path) : connect(to.port, '127.0.0.1');
  sockets.push(socket);
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes.toString();
  });
  socket.on('error', () => {});
  socket.write(text);
  return { answer: () => answer, closed: new Promise((resolve) => socket.on('close', () => resolve())) };
}

test('a request that never ends is ended, over TCP and over the socket: in its headers, in its body, before it begins', async () => {
  await start(200);
  for (const to of [{ port: server.address.port }, { path: path.join(dir, 'admin.sock') }]) {
    const headers = dial(to, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    await headers.closed;
    expect(headers.answer()).toMatch('408');
    const body = dial(to, 'POST /v1/ca/leaf HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{');
    await body.closed;
    await dial(to).closed;
  }
});

test('more connections than there is room for are closed, and there is room again when others go', async () => {
  await start(60_000);
  const { port } = server.address;
  const many = Array.from({ length: 256 }, () => dial({ port }, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'));
  while (!many.every(({ answer }) => answer().includes('200 OK'))) await new Promise((resolve) => setImmediate(resolve));
  await dial({ port }).closed;
  const [first] = sockets;
  first?.destroy();
  await many[0]?.closed;
  let again = '';
  while (!again.includes('200 OK')) {
    const tried = dial({ port }, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    await tried.closed;
    again = tried.answer();
  }
});

test('errors quote what was asked, shortened', async () => {
  await start(60_000);
  const { port } = server.address;
  const answer = await (await fetch(`http://127.0.0.1:${port}/${'x'.repeat(10_000)}`)).text();
  expect(answer.length).toBeLessThan(1200);
});
