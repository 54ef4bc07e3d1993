import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { createRoot } from '../../../src/ca/root-certificate.ts';
import { RESOURCE_TYPES } from '../../../src/cache/resource.ts';
import { encode } from '../../../src/proto/codec.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import type { Logger } from '../../../src/runtime/logger.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';
import { constant } from '../../../src/runtime/watchable.ts';
import type { XdsLimits } from '../../../src/server/limits.ts';
import { startXdsServer, type XdsServer } from '../../../src/server/xds-server.ts';
import { ADS, encodeSent, nodeOf, OneSnapshot, type RawCall, rawCall, readGot } from '../../protocol/grpc-wire.ts';
import { snapshotMaker } from '../../protocol/world.ts';

const EDS = RESOURCE_TYPES.endpoint;
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function start(limits: Partial<XdsLimits> = {}, tls?: { cert: string; key: string }) {
  const lines: { message: string; fields: Record<string, unknown> }[] = [];
  const log = (fields: object, message: string) => void lines.push({ message, fields: fields as Record<string, unknown> });
  const logger: Logger = { debug() {}, info: log, warn: log, error: log, isLevelEnabled: (level) => level !== 'debug' };
  const clock = new ManualClock(1000);
  const metrics = createMetrics();
  const directory = new OneSnapshot();
  directory.publish(snapshotMaker()({ cluster: { A: '1' }, endpoint: { e: '1' } }));
  const server: XdsServer = await startXdsServer({
    address: { host: '127.0.0.1', port: 0 },
    directory,
    logger,
    clock,
    metrics,
    limits,
    ...(tls && { tls: { certificate: constant(tls) } }),
  });
  opened.push(server);
  const client = (port = server.port) => {
    const made = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    opened.push(made);
    return made;
  };
  const refusals = async (reason: string) => {
    const { values } = await metrics.xdsRefused.get();
    return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  };
  return { server, clock, metrics, directory, lines, client, refusals };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** The first request of a proxy. */
function hello(id: string, subscribe: readonly string[] = [], metadata: Record<string, unknown> = {}): Buffer {
  const node = { ...nodeOf(id), metadata };
  return Buffer.from(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { node, type_url: EDS, resource_names_subscribe: [...subscribe] }));
}

const more = (subscribe: readonly string[]) => encodeSent('delta', EDS, { subscribe }, false);
const names = (count: number, prefix = 'n') => Array.from({ length: count }, (_, i) => prefix + i);

interface Opened {
  readonly call: RawCall;
  readonly received: string[][];
  readonly end: Promise<grpc.StatusObject>;
}

function open(client: grpc.Client, first?: Buffer, metadata?: grpc.Metadata): Opened {
  const call = rawCall(client, ADS.delta, metadata);
  const received: string[][] = [];
  call.on('data', (bytes: Buffer) => {
    const { resources, removed } = readGot('delta', bytes);
    received.push([...resources, ...removed]);
  });
  const end = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
  if (first) call.write(first);
  return { call, received, end };
}

const RESOURCE_EXHAUSTED = grpc.status.RESOURCE_EXHAUSTED;

describe('streams', () => {
  test('on one connection: one too many is told why, the others go on, and a place that is given back is taken again', async () => {
    const { server, client, refusals } = await start({ streamsPerConnection: 2 });
    const one = client();
    const streams = [open(one, hello('a', ['e'])), open(one, hello('b', ['e']))];
    await until(() => streams.every(({ received }) => received.length === 1));
    expect(await open(one, hello('c')).end).toMatchObject({ code: RESOURCE_EXHAUSTED, details: 'more than 2 streams on one connection' });
    expect(await refusals('streams')).toBe(1);
    const elsewhere = open(client(), hello('c', ['e']));
    await until(() => elsewhere.received.length === 1);
    streams[0]?.call.cancel();
    await until(() => server.usage().streams === 2);
    const again = open(one, hello('c', ['e']));
    await until(() => again.received.length === 1);
  });

  test('of one proxy, on however many connections; another proxy, or the same from another token, is not hurt', async () => {
    const { client, refusals } = await start({ streamsPerProxy: 2 });
    const streams = [open(client(), hello('a', ['e'])), open(client(), hello('a', ['e']))];
    await until(() => streams.every(({ received }) => received.length === 1));
    expect(await open(client(), hello('a')).end).toMatchObject({ code: RESOURCE_EXHAUSTED, details: 'more than 2 streams of one proxy' });
    expect(await refusals('streams')).toBe(1);
    const token = new grpc.Metadata();
    token.set('x-consul-token', 'its own');
    const others = [open(client(), hello('b', ['e'])), open(client(), hello('a', ['e']), token)];
    await until(() => others.every(({ received }) => received.length === 1));
  });

  test('in all', async () => {
    const { client } = await start({ streams: 3 });
    const streams = names(3).map((id) => open(client(), hello(id, ['e'])));
    await until(() => streams.every(({ received }) => received.length === 1));
    expect(await open(client(), hello('d')).end).toMatchObject({ code: RESOURCE_EXHAUSTED, details: 'more than 3 streams' });
  });

  test('HTTP/2 itself does not let one connection open many more', async () => {
    const { server } = await start({ streamsPerConnection: 2 });
    const session = http2To(server);
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    expect(session.remoteSettings.maxConcurrentStreams).toBe(30);
  });

  test('an ended stream counts until its client has let go of it, and is reset when it does not', async () => {
    const { server, clock } = await start({ streamsPerConnection: 1, firstRequestMs: 3_600_000 });
    const session = http2To(server);
    const request = session.request({ ':method': 'POST', ':path': ADS.delta, 'content-type': 'application/grpc', te: 'trailers' }, { endStream: false });
    let reset = false;
    request.on('error', () => {});
    request.on('close', () => {
      reset = true;
    });
    request.resume();
    let status: unknown;
    request.on('trailers', (trailers) => {
      status = trailers['grpc-status'];
    });
    request.on('response', (headers) => {
      status ??= headers['grpc-status'];
    });
    // garbage with a correct prefix
    request.write(Buffer.from([0, 0, 0, 0, 1, 0xff]));
    await until(() => status !== undefined);
    expect(server.usage().streams).toBe(1);
    clock.advance(5000);
    await until(() => reset && server.usage().streams === 0);
  });
});

describe('resource names', () => {
  test('on one connection, over its streams and types', async () => {
    const { client, refusals, server } = await start({ namesPerConnection: 10 });
    const one = client();
    const first = open(one, hello('a', names(6)));
    await until(() => server.usage().names === 6);
    first.call.write(more(names(6)));
    first.call.write(more(['x']));
    await until(() => server.usage().names === 7);
    const second = open(one, hello('b', names(4, 'm')));
    expect(await second.end).toMatchObject({ code: RESOURCE_EXHAUSTED, details: 'more than 10 resource names on one connection' });
    expect(await refusals('names')).toBe(1);
    // what is given up may be used again
    first.call.write(encodeSent('delta', EDS, { unsubscribe: names(6) }, false));
    await until(() => server.usage().names === 1);
    const third = open(one, hello('b', names(4, 'm')));
    await until(() => server.usage().names === 5 && third.received.length === 1);
    first.call.cancel();
    third.call.cancel();
    await until(() => server.usage().names === 0);
  });

  test('versions that a client brings count as well', async () => {
    const { client } = await start({ namesPerConnection: 10 });
    const brought = Object.fromEntries(names(11).map((name) => [name, 'v']));
    const all = encodeSent('delta', RESOURCE_TYPES.cluster, { initial: brought }, true);
    expect(await open(client(), all).end).toMatchObject({ code: RESOURCE_EXHAUSTED, details: 'more than 10 names in one request' });
  });

  test('of one proxy, and in all', async () => {
    const { client } = await start({ namesPerProxy: 5, names: 8 });
    const held = open(client(), hello('a', names(4)));
    await until(() => held.received.length === 1);
    expect((await open(client(), hello('a', names(2))).end).details).toBe('more than 5 resource names of one proxy');
    expect((await open(client(), hello('b', names(5))).end).details).toBe('more than 8 resource names');
  });

  test('a name of more than 1 KiB', async () => {
    const { client } = await start();
    expect((await open(client(), hello('a', ['n'.repeat(1025)])).end).details).toBe('a name has 1025 bytes, more than 1024');
    expect((await open(client(), hello('n'.repeat(1025))).end).details).toBe('the node cannot be read: a name has 1025 bytes, more than 1024');
  });
});

describe('bytes', () => {
  test('a request that is too large is refused when its length is known', async () => {
    const { server, client, refusals } = await start({ requestBytes: 1000 });
    expect((await open(client(), hello('a', ['n'.repeat(1001)])).end).code).toBe(RESOURCE_EXHAUSTED);
    await until(() => server.usage().inboundBytes === 0);
    expect(await refusals('request_bytes')).toBe(1);
  });

  test('requests that never end: what has arrived of them is bounded on one connection and in all, and given back', async () => {
    const { server, refusals } = await start({ inboundBytesPerConnection: 1_000_000, inboundBytes: 1_500_000, requestBytes: 600_000 });
    /** Says that 600,000 bytes follow, and sends 500,000. */
    const hold = (session: ClientHttp2Session) => {
      const request = session.request({ ':method': 'POST', ':path': ADS.delta, 'content-type': 'application/grpc', te: 'trailers' }, { endStream: false });
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(600_000, 1);
      request.on('error', () => {});
      let status = '';
      request.on('response', (headers) => {
        status = `${headers['grpc-status']}: ${headers['grpc-message']}`;
      });
      request.resume();
      request.write(Buffer.concat([prefix, Buffer.alloc(500_000)]));
      return { request, status: () => status };
    };
    const session = http2To(server);
    hold(session);
    await until(() => server.usage().inboundBytes === 500_005);
    const second = hold(session);
    await until(() => second.status() !== '');
    expect(second.status()).toMatch('8: more than 1000000 bytes of requests on one connection at once');
    await until(() => server.usage().inboundBytes === 500_005);
    hold(http2To(server));
    await until(() => server.usage().inboundBytes === 1_000_010);
    const fourth = hold(http2To(server));
    await until(() => fourth.status() !== '');
    expect(fourth.status()).toMatch('8: more than 1500000 bytes of requests at once');
    expect(await refusals('inbound_bytes')).toBe(2);
    session.destroy();
    await until(() => server.usage().inboundBytes === 500_005);
  });

  test('of a node with megabytes of metadata five fields are kept', async () => {
    const { client, directory } = await start();
    const stream = open(client(), hello('a', ['e'], { pad: 'x'.repeat(3_000_000), node_name: 'vm-a', ipv6: true, deep: { node_name: 'no' } }));
    await until(() => stream.received.length === 1);
    expect(directory.nodes).toEqual([{ id: 'a', nodeName: 'vm-a', ipv6: true, envoyVersion: [1, 36, 4], peer: expect.any(String) }]);
  });

  test('headers', async () => {
    const { client, refusals } = await start({ headerBytes: 2000 });
    const metadata = new grpc.Metadata();
    for (let i = 0; i < 10; i++) metadata.add(`x-${i}`, 'v'.repeat(300));
    expect((await open(client(), hello('a'), metadata).end).details).toBe('more than 2000 bytes of headers');
    expect(await refusals('header_bytes')).toBe(1);
  });

  test('compressed requests are not taken: what is small on the wire may be large in memory', async () => {
    const { refusals, server } = await start();
    const session = http2To(server);
    const request = session.request(
      { ':method': 'POST', ':path': ADS.delta, 'content-type': 'application/grpc', te: 'trailers', 'grpc-encoding': 'gzip' },
      { endStream: false },
    );
    request.on('error', () => {});
    let status: unknown;
    request.on('response', (headers) => {
      status = headers['grpc-status'];
    });
    request.write(Buffer.from([1, 0, 0, 0, 9, 1, 2]));
    await until(() => status !== undefined);
    expect(Number(status)).toBe(grpc.status.UNIMPLEMENTED);
    expect(await refusals('compressed')).toBe(1);
  });
});

describe('deadlines', () => {
  test('a connection that opens no stream is closed; one that does stays', async () => {
    const { server, clock, refusals, client } = await start();
    const silent = connectTcp(server.port, '127.0.0.1');
    const good = open(client(), hello('a', ['e']));
    await until(() => good.received.length === 1 && server.usage().connections === 2);
    let closed = false;
    silent.on('close', () => {
      closed = true;
    });
    silent.resume();
    for (let i = 0; i < 10; i++) clock.advance(1000);
    await until(() => closed && server.usage().connections === 1);
    expect(await refusals('first_stream_deadline')).toBe(1);
    good.call.write(more(['none']));
    await until(() => good.received.length === 2);
  });

  test('the TLS handshake has to be done within the same time', async () => {
    const now = Date.now();
    const validity = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
    const { certificate, privateKey } = await createRoot('test', 'spiffe://test.consul', validity);
    const { clock, server, refusals } = await start({}, { cert: certificate, key: privateKey });
    const credentials = grpc.credentials.createSsl(Buffer.from(certificate), null, null, { checkServerIdentity: () => undefined });
    const honest = new grpc.Client(`127.0.0.1:${server.port}`, credentials, { 'grpc.use_local_subchannel_pool': 1 });
    opened.push(honest);
    const good = open(honest, hello('a', ['e']));
    await until(() => good.received.length === 1);
    // the start of a ClientHello, and nothing more
    const half = connectTcp(server.port, '127.0.0.1');
    half.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    half.on('error', () => {});
    half.resume();
    let closed = false;
    half.on('close', () => {
      closed = true;
    });
    await until(() => server.usage().connections === 2);
    for (let i = 0; i < 10; i++) clock.advance(1000);
    await until(() => closed && server.usage().connections === 1);
    expect(await refusals('first_stream_deadline')).toBe(1);
    good.call.write(more(['none']));
    await until(() => good.received.length === 2);
  });

  test('a stream that asks for nothing is ended', async () => {
    const { clock, client, server, refusals } = await start();
    const stream = open(client());
    await until(() => server.usage().streams === 1);
    clock.advance(10_000);
    expect(await stream.end).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED, details: 'no request within 10000 ms' });
    expect(await refusals('first_request_deadline')).toBe(1);
  });
});

test('connections: one too many is closed', async () => {
  const { server, refusals } = await start({ connections: 1 });
  http2To(server);
  await until(() => server.usage().connections === 1);
  const second = connectTcp(server.port, '127.0.0.1');
  second.on('error', () => {});
  second.resume();
  await new Promise((resolve) => second.on('close', resolve));
  expect(await refusals('connections')).toBe(1);
});

test('a client that asks too often is read from more slowly, loses nothing, and holds up nobody', async () => {
  const { clock, client, metrics } = await start({ requestsAtOnce: 20, requestsPerSecond: 10 });
  const requests = async () => (await metrics.xdsRequests.get()).values[0]?.value ?? 0;
  const busy = open(client(), hello('a', ['e']));
  for (let i = 0; i < 200; i++) busy.call.write(more([`x${i}`]));
  const slowed = async () => (await metrics.xdsSlowed.get()).values[0]?.value ?? 0;
  while ((await slowed()) === 0) await new Promise((resolve) => setImmediate(resolve));
  // the clock stands still, so no more is read than what was already on its way
  const other = open(client(), hello('b', ['e']));
  await until(() => other.received.length === 1);
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(await requests()).toBeLessThan(20 + 20);
  while (!busy.received.flat().includes('x199')) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('a storm of streams is a line in the log, not one for each', async () => {
  const { client, clock, lines, server } = await start();
  const one = client();
  const streams = names(50).map((id) => open(one, hello(id, ['e'])));
  await until(() => streams.every(({ received }) => received.length === 1));
  clock.advance(1000);
  for (const { call } of streams) call.cancel();
  await until(() => server.usage().streams === 0);
  clock.advance(1000);
  expect(lines).toEqual([
    { message: 'streams', fields: { opened: 50, opened_by: names(5), open: 50 } },
    { message: 'streams', fields: { closed: 50, closed_by: names(5), open: 0 } },
  ]);
});

test('a server that closes ends its streams some at a time, takes no new ones, and clients find what they had at the next', async () => {
  const { server, clock, client, directory } = await start();
  const next = await start({ streamsPerProxy: 1000 });
  const clients = Array.from({ length: 5 }, () => client());
  const streams = names(450).map((id, i) => open(clients[i % 5] as grpc.Client, hello(id, ['e'])));
  await until(() => streams.every(({ received }) => received.length === 1));
  let ended = 0;
  const moved: Opened[] = [];
  const version = directory.snapshot?.endpoint.get('e')?.version ?? '';
  for (const { end } of streams) {
    void end.then(({ code }) => {
      if (code !== grpc.status.UNAVAILABLE) return;
      ended++;
      moved.push(open(next.client(), encodeSent('delta', EDS, { subscribe: ['e'], initial: { e: version } }, true)));
    });
  }
  const closed = server.close();
  await until(() => ended === 200);
  expect(server.usage().streams).toBeGreaterThanOrEqual(250);
  clock.advance(100);
  await until(() => ended === 400);
  clock.advance(100);
  await until(() => ended === 450);
  await closed;
  expect(server.streams()).toEqual([]);
  await until(() => next.server.streams().length === 450);
  for (const { received } of moved) expect(received).toEqual([]);
  for (const { call } of moved) call.cancel();
  await until(() => next.server.usage().streams === 0);
});

describe('keepalive', () => {
  test('a client that is gone is noticed: soon when it owes no answer, late when it may be busy with one', async () => {
    const { server, clock, client } = await start();
    const cable = await cableTo(server);
    const idle = open(client(cable.port), hello('idle'));
    await until(() => server.streams().length === 1);
    cable.cut();
    for (let i = 0; i < 4; i++) await tick(clock);
    await until(() => server.usage().connections === 0);
    void idle;

    const second = await cableTo(server);
    // it is sent something, and never answers
    const busy = open(client(second.port), hello('busy', ['e']));
    await until(() => busy.received.length === 1);
    second.cut();
    for (let i = 0; i < 18; i++) await tick(clock);
    expect(server.streams()).toHaveLength(1);
    for (let i = 0; i < 4; i++) await tick(clock);
    await until(() => server.usage().connections === 0);
  });

  test('a busy client that answers after five minutes goes on', async () => {
    const { server, clock, client } = await start();
    const cable = await cableTo(server);
    const busy = open(client(cable.port), hello('busy', ['e']));
    await until(() => busy.received.length === 1);
    cable.hold();
    for (let i = 0; i < 10; i++) await tick(clock);
    cable.release();
    busy.call.write(more(['none']));
    await until(() => busy.received.length === 2);
    for (let i = 0; i < 10; i++) await tick(clock);
    expect(server.streams()).toHaveLength(1);
  });

  /** Half a minute on the clock, and some turns of the event loop for what is on the wire. */
  async function tick(clock: ManualClock): Promise<void> {
    clock.advance(30_000);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  }
});

function http2To(server: XdsServer): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  session.on('error', () => {});
  opened.push({ close: () => session.destroy() });
  return session;
}

/** A cable between client and server that can be cut, so that neither hears anything of the other any more. */
async function cableTo(server: XdsServer) {
  const pairs: [Socket, Socket][] = [];
  let connected = true;
  const between: Server = createServer((near) => {
    const far = connectTcp(server.port, '127.0.0.1');
    pairs.push([near, far]);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes) => connected && to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => connected && to.destroy());
    }
  });
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
  opened.push({
    close: () => {
      for (const socket of pairs.flat()) socket.destroy();
      between.close();
    },
  });
  const { port } = between.address() as { port: number };
  return {
    port,
    cut: () => {
      connected = false;
    },
    /** Nothing passes from the client to the server, and nothing is lost. */
    hold: () => {
      for (const [near] of pairs) near.pause();
    },
    release: () => {
      for (const [near] of pairs) near.resume();
    },
  };
}
