import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { watchRedirect } from '../../../src/cli/watch-redirect.ts';

/** Watches an Envoy that has these listeners, on a host that has these obstacles, one look after the other. Ends with the last one. */
async function watch(listeners: string, obstacles: readonly (string | undefined)[]): Promise<{ said: string[]; looks: number }> {
  let asked = 0;
  let looks = 0;
  const ending = new AbortController();
  const envoy = createServer((_request, response) => {
    if (++asked > obstacles.length) ending.abort();
    response.end(listeners);
  });
  await new Promise<void>((listening) => envoy.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void envoy.close());
  const said: string[] = [];
  await watchRedirect({
    admin: { address: '127.0.0.1', port: (envoy.address() as AddressInfo).port },
    err: (text) => void said.push(text.split(':').slice(1, 3).join(':').trim()),
    signal: ending.signal,
    whyNot: async () => obstacles[looks++],
    intervalMs: 1,
  });
  return { said, looks };
}

const TRANSPARENT = 'outbound_listener:127.0.0.1:15001::127.0.0.1:15001\npublic_listener:0.0.0.0:21000::0.0.0.0:21000\n';

test('a host that is not redirected is told once, and when that is mended', async () => {
  const { said } = await watch(TRANSPARENT, [undefined, 'a', 'a', 'b', undefined, undefined, 'c']);
  expect(said).toEqual(['warning: NOT REDIRECTED', 'connections of this host go through its sidecar again', 'warning: NOT REDIRECTED']);
});

test('a sidecar without the outbound listener needs no redirection', async () => {
  expect(await watch('public_listener:0.0.0.0:21000::0.0.0.0:21000\n', ['a', 'a'])).toEqual({ said: [], looks: 0 });
});

test('it ends with Envoy, also one that never answered', async () => {
  const ending = new AbortController();
  const watching = watchRedirect({ admin: { address: '127.0.0.1', port: 1 }, err: () => {}, signal: ending.signal });
  ending.abort();
  await watching;
});
