import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RESOURCE_TYPES } from '../../../src/cache/resource.ts';
import { encode } from '../../../src/proto/codec.ts';
import { ManualClock, systemClock } from '../../../src/runtime/clock.ts';
import { type Logger, silentLogger } from '../../../src/runtime/logger.ts';
import { ListenError, startXdsServer, type XdsServer } from '../../../src/server/xds-server.ts';
import { brief } from '../../protocol/conversation.ts';
import { ADS, encodeSent, nodeOf, OneSnapshot, type RawCall, rawCall, readGot } from '../../protocol/grpc-wire.ts';
import { type State, snapshotMaker } from '../../protocol/world.ts';

const loopback = { host: '127.0.0.1', port: 0 };
const clusterUrl = RESOURCE_TYPES.cluster;

let server: XdsServer;
let client: grpc.Client;
let directory: OneSnapshot;
let lines: { level: string; fields: Record<string, unknown>; message: string }[];
let make: (state: State) => void;

beforeEach(async () => {
  lines = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields: fields as Record<string, unknown>, message });
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  directory = new OneSnapshot();
  const snapshot = snapshotMaker();
  make = (state) => directory.publish(snapshot(state));
  server = await startXdsServer({ address: loopback, directory, logger, clock: new ManualClock(1000) });
  client = connect(server);
});

afterEach(async () => {
  client.close();
  await server.close();
});

function connect(to: XdsServer): grpc.Client {
  return new grpc.Client(`127.0.0.1:${to.port}`, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
}

/** How the stream ended. */
function ending(call: RawCall): Promise<grpc.StatusObject> {
  call.on('data', () => {});
  return new Promise((resolve) => call.on('status', resolve));
}

function next(call: RawCall, variant: 'delta' | 'sotw' = 'delta'): Promise<string> {
  return new Promise((resolve) => call.once('data', (bytes: Buffer) => resolve(brief(readGot(variant, bytes)))));
}

const hello = (typeUrl: string = clusterUrl) => encodeSent('delta', typeUrl, {}, true);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('who hands over a snapshot is told when the client has answered all of it, or is gone, and how many bytes that took', async () => {
  const told: number[] = [];
  const snapshot = snapshotMaker();
  const give = (state: State) => {
    for (const subscriber of directory.subscribers) subscriber.update(snapshot(state), (bytes) => told.push(bytes));
  };
  make({ cluster: { A: '1' } });
  const call = rawCall(client, ADS.delta);
  const received: Buffer[] = [];
  call.on('data', (bytes: Buffer) => received.push(bytes));
  const answer = (bytes: Buffer) => call.write(encodeSent('delta', clusterUrl, { nonce: readGot('delta', bytes).nonce }, false));
  call.write(hello());
  await until(() => received.length === 1);
  answer(received[0] ?? Buffer.alloc(0));
  give({ cluster: { A: '2' } });
  give({ cluster: { A: '3' } });
  await until(() => received.length >= 2);
  expect(told).toEqual([]);
  answer(received[1] ?? Buffer.alloc(0));
  await until(() => told.length === 2);
  expect(told[0]).toBe(received.slice(1).reduce((sum, bytes) => sum + bytes.length, 0));
  give({ cluster: { A: '4' } });
  await until(() => received.length >= 3);
  expect(told).toHaveLength(2);
  call.cancel();
  await until(() => told.length === 3);
});

describe('a stream that cannot be served is ended with the reason', () => {
  const refused = async (first: Buffer, path = ADS.delta) => {
    const call = rawCall(client, path);
    const end = ending(call);
    call.write(first);
    const { code, details } = await end;
    expect(lines.some(({ level, fields }) => level === 'warn' && fields.reason === details)).toBe(true);
    return `${grpc.status[code]}: ${details}`;
  };
  const withNode = (node: object) => Buffer.from(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { node, type_url: clusterUrl }));

  test('no node, no id, no type, garbage, the wrong type for the service', async () => {
    expect(await refused(encodeSent('delta', clusterUrl, {}, false))).toBe('INVALID_ARGUMENT: the first request of a stream must carry the node');
    expect(await refused(withNode({ cluster: 'web' }))).toMatch('INVALID_ARGUMENT: the node has no id');
    expect(await refused(encodeSent('delta', '', {}, true))).toMatch('INVALID_ARGUMENT: type_url is missing');
    expect(await refused(Buffer.from('garbage'))).toMatch('INVALID_ARGUMENT: the request is no DeltaDiscoveryRequest');
    expect(await refused(encodeSent('delta', RESOURCE_TYPES.route, {}, true), '/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters')).toMatch(
      'INVALID_ARGUMENT: this service serves',
    );
    expect(server.streams()).toEqual([]);
    expect(directory.subscribers.size).toBe(0);
  });

  test('other streams go on', async () => {
    make({ cluster: { A: '1' } });
    const good = rawCall(client, ADS.delta);
    good.write(hello());
    expect(await next(good)).toBe('cluster A=1');
    await refused(Buffer.from('garbage'));
    good.write(encodeSent('delta', RESOURCE_TYPES.endpoint, { subscribe: ['none'] }, false));
    expect(await next(good)).toBe('endpoint -none');
  });

  test('the control plane may end one', async () => {
    const call = rawCall(client, ADS.delta);
    const end = ending(call);
    call.write(hello());
    await until(() => directory.subscribers.size > 0);
    for (const subscriber of directory.subscribers) subscriber.end('PERMISSION_DENIED', 'this token is 0 % good for wéb');
    expect(await end).toMatchObject({ code: grpc.status.PERMISSION_DENIED, details: 'this token is 0 % good for wéb' });
    expect(directory.subscribers.size).toBe(0);
  });
});

test('the control plane learns who connected, from the first message alone', async () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-consul-token', 'secret-token');
  const call = rawCall(client, ADS.delta, metadata);
  call.write(hello('type.googleapis.com/some.day.v9.Thing'));
  await until(() => directory.nodes.length > 0);
  const other = { node: nodeOf('another'), type_url: clusterUrl };
  call.write(Buffer.from(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', other)));
  make({ cluster: { A: '1' } });
  expect(await next(call)).toBe('cluster A=1');
  expect(directory.nodes).toEqual([
    {
      id: 'web-sidecar-proxy',
      nodeName: 'vm-web',
      ipv6: false,
      envoyVersion: [1, 36, 4],
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      token: 'secret-token',
    },
  ]);
  expect(server.streams()).toMatchObject([
    {
      nodeId: 'web-sidecar-proxy',
      nodeName: 'vm-web',
      envoyVersion: [1, 36, 4],
      variant: 'delta',
      connectedAt: 1000,
      known: true,
      types: [{ type: 'cluster', subscribed: { wildcard: true, names: 0 }, sent: { at: 1000, resources: 1, removed: 0 }, pending: true }],
    },
  ]);
});

test('an unknown proxy waits, visibly', async () => {
  const call = rawCall(client, ADS.delta);
  call.write(hello());
  await until(() => server.streams().length > 0);
  expect(server.streams()).toMatchObject([{ known: false, types: [{ type: 'cluster', pending: true }] }]);
});

test('every per-type service, with the type implied', async () => {
  make({ cluster: { A: '1' }, listener: { A: '1' }, endpoint: { A: '1' }, route: { A: '1' }, secret: { A: '1' } });
  const services = { cluster: 'Cluster', endpoint: 'Endpoint', listener: 'Listener', route: 'Route', secret: 'Secret' };
  for (const [type, name] of Object.entries(services)) {
    const service = `/envoy.service.${type}.v3.${name}DiscoveryService`;
    const delta = rawCall(client, `${service}/Delta${name}s`);
    delta.write(encodeSent('delta', '', { subscribe: ['A'] }, true));
    expect(await next(delta)).toBe(`${type} A=1`);
    const sotw = rawCall(client, `${service}/Stream${name}s`);
    sotw.write(encodeSent('sotw', '', { names: ['A'] }, true));
    expect(await next(sotw, 'sotw')).toBe(`${type} A=1`);
  }
});

test('a refusal is logged once, with proxy, type, resources and reason', async () => {
  make({ listener: { L: 'bad', M: '1' } });
  const call = rawCall(client, ADS.sotw);
  let answered = 0;
  call.on('data', (bytes: Buffer) => {
    const { nonce } = readGot('sotw', bytes);
    call.write(encodeSent('sotw', RESOURCE_TYPES.listener, { nonce, error: 'L: no' }, false));
    answered++;
  });
  call.write(encodeSent('sotw', RESOURCE_TYPES.listener, {}, true));
  const nacks = () => lines.filter(({ message }) => message.includes('NACK'));
  await until(() => nacks().length > 0);
  make({ listener: { L: 'bad', M: '2' } });
  await until(() => answered === 2 && server.streams()[0]?.types[0]?.pending === false);
  expect(nacks()).toMatchObject([{ level: 'warn', fields: { proxy: 'web-sidecar-proxy', type: 'listener', resources: ['L'], reason: 'L: no' } }]);
});

test('half-close ends with OK, a cancel frees the stream, and two streams of one node are separate', async () => {
  make({ cluster: { A: '1' } });
  const [one, two] = [rawCall(client, ADS.delta), rawCall(client, ADS.delta)];
  one.write(hello());
  two.write(hello());
  const firsts = await Promise.all([one, two].map((call) => new Promise<Buffer>((resolve) => call.once('data', resolve))));
  expect(new Set(firsts.map((bytes) => readGot('delta', bytes).nonce)).size).toBe(2);
  expect(server.streams().length).toBe(2);
  const end = ending(one);
  one.end();
  expect((await end).code).toBe(grpc.status.OK);
  two.cancel();
  await until(() => server.streams().length === 0);
  expect(directory.subscribers.size).toBe(0);
  make({ cluster: { A: '2' } });
});

test('a client that does not read holds up nobody, and finds the newest state when it does', async () => {
  const big = 'x'.repeat(300_000);
  make({ cluster: { A: `0${big}` } });
  const call = rawCall(client, ADS.delta);
  call.pause();
  call.write(hello());
  // asking again and again has a right to an answer each time, but answers are made only when the last one is written
  for (let i = 0; i < 50; i++) call.write(encodeSent('delta', clusterUrl, { subscribe: ['A'] }, false));
  await until(() => lines.some(({ message }) => message === 'response sent'));
  make({ cluster: { A: `1${big}` } });
  const other = rawCall(connectedTo(), ADS.delta);
  other.write(hello());
  expect(await next(other)).toBe(`cluster A=1${big}`);
  expect(lines.filter(({ message, fields }) => message === 'response sent' && fields.stream === 1).length).toBeLessThan(20);
  let newest = '';
  call.on('data', (bytes: Buffer) => {
    newest = readGot('delta', bytes).resources[0] ?? newest;
  });
  call.resume();
  await until(() => newest.startsWith('A=1'));
});

const extra: grpc.Client[] = [];
function connectedTo(): grpc.Client {
  const another = connect(server);
  extra.push(another);
  return another;
}
afterEach(() => {
  for (const one of extra.splice(0)) one.close();
});

test('shutting down ends the streams with UNAVAILABLE, so that clients come back', async () => {
  const call = rawCall(client, ADS.delta);
  const end = ending(call);
  call.write(hello());
  await until(() => server.streams().length === 1);
  const abort = new AbortController();
  const second = await startXdsServer({ address: loopback, directory, logger: silentLogger, clock: systemClock, signal: abort.signal });
  const secondClient = connect(second);
  const secondCall = rawCall(secondClient, ADS.delta);
  const secondEnd = ending(secondCall);
  secondCall.write(hello());
  await until(() => second.streams().length === 1);
  abort.abort();
  expect((await secondEnd).code).toBe(grpc.status.UNAVAILABLE);
  await second.close();
  secondClient.close();
  await server.close();
  expect(await end).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'adsum is shutting down' });
  expect(server.streams()).toEqual([]);
});

test('a restarted server sends nothing again that has not changed', async () => {
  const state = { cluster: { A: '1', B: '1' } };
  make(state);
  const call = rawCall(client, ADS.delta);
  call.write(hello());
  const first = await new Promise<Buffer>((resolve) => call.once('data', resolve));
  const { versions } = readGot('delta', first);
  const anew = new OneSnapshot();
  anew.publish(snapshotMaker()({ cluster: { B: '2', A: '1' } }));
  const restarted = await startXdsServer({ address: loopback, directory: anew, logger: silentLogger, clock: systemClock });
  const again = connect(restarted);
  const second = rawCall(again, ADS.delta);
  second.write(encodeSent('delta', clusterUrl, { initial: versions }, true));
  expect(await next(second)).toBe('cluster B=2');
  again.close();
  await restarted.close();
});

test('an address that is taken is an error with its code', async () => {
  const options = { directory, logger: silentLogger, clock: systemClock };
  await expect(startXdsServer({ address: { host: '127.0.0.1', port: server.port }, ...options })).rejects.toMatchObject({
    name: 'ListenError',
    code: 'EADDRINUSE',
    message: `cannot listen on 127.0.0.1:${server.port}: EADDRINUSE`,
  });
  await expect(startXdsServer({ address: { host: '192.0.2.1', port: 0 }, ...options })).rejects.toBeInstanceOf(ListenError);
});
