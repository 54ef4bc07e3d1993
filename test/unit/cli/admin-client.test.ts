import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../feature/run-adsum.ts';
import { cli } from './run-cli.ts';

test('a token stays on this host, and is sent to others with a warning', async () => {
  const seen: IncomingMessage['headers'][] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    response.end(JSON.stringify({ proxies: [] }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const env = { CONSUL_HTTP_TOKEN: 'secret' };
  const near = await cli(['proxies', '--admin-addr', `http://127.0.0.1:${port}`], { env });
  expect(near).toMatchObject({ status: 0, stderr: '' });
  // this host under another name, as a remote one would be given
  const far = await cli(['proxies', '--admin-addr', `http://0.0.0.0:${port}`], { env });
  expect(far).toMatchObject({ status: 0, stderr: expect.stringContaining('the token goes to http://0.0.0.0') });
  await cli(['proxies', '--admin-addr', `http://0.0.0.0:${port}`, '--token', 'given'], { env });
  const file = path.join(temporaryFolder(), 'token');
  writeFileSync(file, 'in-a-file');
  await cli(['proxies', '--admin-addr', `http://0.0.0.0:${port}`], { env: { CONSUL_HTTP_TOKEN_FILE: file } });
  expect(seen.map((headers) => headers['x-consul-token'])).toEqual([undefined, 'secret', 'given', 'in-a-file']);
  server.close();
});
