import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { cli } from './run-cli.ts';

const BASE = ['redirect-traffic', '-proxy-uid', '995'];

test.each([
  [['redirect-traffic', '-proxy-inbound-port', '20000'], '--proxy-uid UID is needed'],
  [BASE, 'either --proxy-id ID or --proxy-inbound-port PORT is needed'],
  [[...BASE, '-proxy-id', 'x', '-proxy-inbound-port', '1'], 'either --proxy-id ID or --proxy-inbound-port PORT is needed'],
  [[...BASE, '-proxy-inbound-port', '20000', '-exclude-outbound-cidr', '10.0.0.0/40'], "--exclude-outbound-cidr '10.0.0.0/40' is not a network"],
  [[...BASE, '-proxy-id', 'x', '-admin-addr', '127.0.0.1:1', '-exclude-uid', 'no-such-user'], "--exclude-uid 'no-such-user' is not a user of this host"],
])('%j is wrong usage', async (args, reason) => {
  const result = await cli(args);
  expect(result).toMatchObject({ status: 2, stdout: '' });
  expect(result.stderr).toContain(`adsum: ${reason}`);
});

test('an unregistered proxy is a failure, and nothing is touched', async () => {
  const server = createServer((_request, response) => response.end('{"id":"x","state":"waiting"}'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const result = await cli([...BASE, '-proxy-id', 'x', '-admin-addr', `127.0.0.1:${(server.address() as AddressInfo).port}`]);
  server.close();
  expect(result.status).toBe(1);
  expect(result.stderr).toContain("adsum: proxy 'x' is not registered with adsum at");
});
