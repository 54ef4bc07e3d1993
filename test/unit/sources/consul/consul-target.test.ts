import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createConsulClient } from '../../../../src/sources/consul/consul-client.ts';
import { ConsulTargetError, resolveConsulTarget } from '../../../../src/sources/consul/consul-target.ts';

const folder = () => {
  const made = mkdtempSync(path.join(tmpdir(), 'adsum-target-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
};

describe('which Consul', () => {
  it.each([
    [{}, {}, 'http://127.0.0.1:8500'],
    [{ address: 'consul.example:8500' }, {}, 'http://consul.example:8500'],
    [{ address: 'consul.example:8501' }, { CONSUL_HTTP_SSL: 'true' }, 'https://consul.example:8501'],
    [{}, { CONSUL_HTTP_ADDR: 'https://c:8501' }, 'https://c:8501'],
    [{ address: 'http://[::1]:8500' }, {}, 'http://[::1]:8500'],
  ])('%j %j → %s', (flags, env, origin) => {
    expect(resolveConsulTarget(flags, env).url.origin).toBe(origin);
  });

  it.each(['ftp://x', 'http://', 'a b'])('%s is no address', (address) => {
    expect(() => resolveConsulTarget({ address }, {})).toThrow(ConsulTargetError);
  });

  it('a token from the flag, the file, the environment; a file is read again', () => {
    const file = path.join(folder(), 'token');
    writeFileSync(file, 'one\n');
    expect(resolveConsulTarget({ token: 'flag', tokenFile: file }, { CONSUL_HTTP_TOKEN: 'env' }).token()).toBe('flag');
    expect(resolveConsulTarget({}, { CONSUL_HTTP_TOKEN: 'env' }).token()).toBe('env');
    const { token } = resolveConsulTarget({ tokenFile: file }, { CONSUL_HTTP_TOKEN: 'env' });
    expect(token()).toBe('one');
    writeFileSync(file, 'two');
    expect(token()).toBe('two');
    rmSync(file);
    expect(token()).toBe('two');
  });

  it('speaks over a unix socket, with basic auth, a token and the datacenter', async () => {
    const socket = path.join(folder(), 'consul.sock');
    const seen: unknown[] = [];
    const server = createServer((request, response) => {
      seen.push([request.url, request.headers['x-consul-token'], request.headers.authorization]);
      response.setHeader('x-consul-index', '7').setHeader('x-consul-results-filtered-by-acls', 'true').end('[]');
    });
    await new Promise<void>((listening) => server.listen(socket, listening));
    onTestFinished(() => void server.close());
    const client = createConsulClient(resolveConsulTarget({ address: `unix://${socket}`, datacenter: 'dc2', token: 't' }, { CONSUL_HTTP_AUTH: 'u:p' }));
    onTestFinished(() => client.close());
    const answer = await client.request({ path: '/config/mesh', query: { index: 5, wait: '30s' } });
    expect(answer).toMatchObject({ index: 7, body: [], filteredByAcl: true, knownLeader: true });
    expect(seen).toEqual([['/v1/config/mesh?dc=dc2&index=5&wait=30s', 't', `Basic ${Buffer.from('u:p').toString('base64')}`]]);
  });

  it('says in one line why Consul does not answer', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/v1/a') response.writeHead(429, { 'retry-after': '3' }).end('rate limit\n');
      else response.end('<html>');
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const client = createConsulClient(resolveConsulTarget({ address: `127.0.0.1:${port}` }, {}));
    onTestFinished(() => client.close());
    await expect(client.request({ path: '/a' })).rejects.toMatchObject({
      message: 'Consul answered 429 to GET /a: rate limit',
      status: 429,
      retryAfterMs: 3_000,
    });
    await expect(client.request({ path: '/b' })).rejects.toMatchObject({ message: 'what answers is not Consul: GET /b gave no JSON' });
    await new Promise((closed) => server.close(closed).closeAllConnections() ?? closed(undefined));
    await expect(client.request({ path: '/a' })).rejects.toMatchObject({ message: expect.stringContaining(`no Consul answers at http://127.0.0.1:${port}: `) });
  });
});

it('gives up on a Consul that says nothing, and on one that stops in the middle', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/v1/middle') response.write('[');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const client = createConsulClient(resolveConsulTarget({ address: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}` }, {}));
  onTestFinished(() => client.close());
  for (const where of ['/start', '/middle']) {
    await expect(client.request({ path: where, timeoutMs: 50 })).rejects.toMatchObject({ message: expect.stringMatching(/no answer within 0.05 s$/) });
  }
  const ending = new AbortController();
  const given = client.request({ path: '/start', signal: ending.signal });
  ending.abort();
  await expect(given).rejects.toMatchObject({ message: expect.stringMatching(/given up$/) });
});
