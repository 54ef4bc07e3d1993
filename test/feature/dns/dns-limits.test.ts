import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import dnsPacket from 'dns-packet';
import { afterEach, describe, expect, test } from 'vitest';
import { type DnsServer, type DnsServerOptions, startDnsServer } from '../../../src/dns/dns-server.ts';
import type { NameTable } from '../../../src/dns/name-table.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';
import { askTcp, askUdp, exchangeTcp, exchangeUdp, framed, query, type Reply } from './dns-client.ts';

const many = Array.from({ length: 300 }, (_, i) => ({ address: `10.0.${i >> 8}.${i & 255}`, port: i, node: 'n', weight: 1, health: 'passing' }) as const);
const names: NameTable = { virtualAddresses: () => ['240.0.0.1', '240.0.0.2'], instances: () => many, proxies: () => many };
const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(more: Partial<DnsServerOptions> = {}) {
  const metrics = createMetrics();
  const server: DnsServer = await startDnsServer({
    host: '127.0.0.1',
    port: 0,
    datacenter: 'dc1',
    names: () => names,
    logger: silentLogger,
    metrics,
    ...more,
  });
  open.push(server);
  const limited = async (reason: string) => (await metrics.dnsLimited.get()).values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  return { port: server.port, limited };
}

/** Answers with the TTL as a serial, except questions for names that start with `slow`, which wait for ever. */
async function startRecursor(): Promise<{ at: string; asked: () => number }> {
  let asked = 0;
  const answer = (message: Buffer): Buffer | undefined => {
    asked++;
    const { id, questions = [] } = dnsPacket.decode(message);
    const name = questions[0]?.name ?? '';
    if (name.startsWith('slow')) return undefined;
    const answers = Array.from({ length: name.startsWith('big') ? 100 : 1 }, (_, i) => ({ type: 'A', name, ttl: 1, data: `192.0.2.${i}` }) as const);
    return dnsPacket.encode({ type: 'response', id: id ?? 0, questions, answers });
  };
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const reply = answer(bytes.subarray(2));
      if (reply) socket.end(framed(reply));
    });
  }).listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };
  const udp: UdpSocket = createSocket('udp4', (message, client) => {
    const reply = answer(message);
    if (reply) udp.send(reply, client.port, client.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  open.push({ close: () => udp.close() }, { close: () => tcp.close() });
  return { at: `127.0.0.1:${port}`, asked: () => asked };
}

const rcode = (bytes: Buffer) => (dnsPacket.decode(bytes) as Reply).rcode;

describe('amplification', () => {
  test('no answer over UDP has more than 1,232 bytes, whatever the client claims to take; all of it comes over TCP', async () => {
    const { port } = await start();
    for (const type of ['A', 'SRV', 'ANY']) {
      for (const edns of [1232, 4096, 65_535]) {
        const reply = await exchangeUdp(port, query('many.service.consul', type, edns));
        expect(reply.length).toBeLessThanOrEqual(1232);
      }
    }
    expect((await askTcp(port, 'many.service.consul', 'A')).answers).toHaveLength(300);
  });

  test('a recursor that gives more is cut as well', async () => {
    const recursor = await startRecursor();
    const { port } = await start({ recursors: [recursor.at] });
    const reply = await askUdp(port, 'big.example', 'A', 4096);
    expect(reply).toMatchObject({ flag_tc: true, answers: [], questions: [{ name: 'big.example' }] });
    expect((await askTcp(port, 'big.example', 'A')).answers).toHaveLength(100);
  });

  test('ANY is answered with one record, over TCP too', async () => {
    const { port } = await start();
    for (const ask of [askUdp, askTcp]) {
      expect(await ask(port, 'many.service.consul', 'ANY')).toMatchObject({ rcode: 'NOERROR', answers: { length: 1 }, flag_tc: false });
    }
    expect(await askUdp(port, 'nope.nope.consul', 'ANY')).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  test('when much has been sent to a network, larger answers become a question to come over TCP, never larger than what was asked', async () => {
    const clock = new ManualClock();
    const { port, limited } = await start({ answerRate: { atOnce: 10_000, perSecond: 1000 }, clock });
    const message = query('many.service.consul', 'SRV', 4096);
    const replies: Buffer[] = [];
    for (let i = 0; i < 50; i++) replies.push(await exchangeUdp(port, message));
    expect(replies.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(10_000 + 50 * message.length);
    const cut = replies.filter(({ length }) => length <= message.length);
    expect(cut.length).toBeGreaterThan(40);
    for (const reply of cut) expect(dnsPacket.decode(reply)).toMatchObject({ flag_tc: true, answers: [], questions: [{ name: 'many.service.consul' }] });
    expect(await limited('rate')).toBe(cut.length);
    // over TCP nobody forges an address, and after a while there is room again
    expect((await askTcp(port, 'many.service.consul', 'SRV')).answers).toHaveLength(300);
    clock.advance(10_000);
    expect((await exchangeUdp(port, message)).length).toBeGreaterThan(message.length);
  });
});

describe('clients', () => {
  test('of other networks are refused, for mesh names and for recursion, in few bytes', async () => {
    const recursor = await startRecursor();
    const { port, limited } = await start({ recursors: [recursor.at], clients: ['192.0.2.0/24'] });
    for (const name of ['api.virtual.consul', 'example.com']) {
      const message = query(name, 'A');
      const reply = await exchangeUdp(port, message);
      expect(rcode(reply)).toBe('REFUSED');
      expect(reply.length).toBeLessThanOrEqual(message.length);
      expect(await askTcp(port, name, 'A')).toMatchObject({ rcode: 'REFUSED' });
    }
    expect(recursor.asked()).toBe(0);
    expect(await limited('network')).toBe(4);
  });

  test('what is no network is told at the start', async () => {
    await expect(start({ clients: ['everybody'] })).rejects.toThrow('--dns-clients "everybody" is no network');
  });

  test('questions of other classes do not leave adsum', async () => {
    const recursor = await startRecursor();
    const { port } = await start({ recursors: [recursor.at] });
    const version = query('version.bind', 'TXT');
    version.writeUInt16BE(3, version.length - 2);
    expect(rcode(await exchangeUdp(port, version))).toBe('REFUSED');
    expect(recursor.asked()).toBe(0);
  });
});

test('700 slow questions starve nobody: mesh names and questions that are answered go on, over UDP and TCP', async () => {
  const recursor = await startRecursor();
  const { port, limited } = await start({ recursors: [recursor.at], recursorTimeoutMs: 600_000 });
  const socket = createSocket('udp4');
  open.push({ close: () => socket.close() });
  let early = 0;
  socket.on('message', (reply) => {
    if (rcode(reply) === 'SERVFAIL') early++;
  });
  // a few at a time, so that the kernel drops none
  for (let i = 0; i < 700; i++) {
    socket.send(query(`slow${i}.example`, 'A'), port, '127.0.0.1');
    if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  while (early < 500) await new Promise((resolve) => setImmediate(resolve));
  expect(data(await askUdp(port, 'victim.example', 'A'))).toEqual(['192.0.2.0']);
  expect(data(await askTcp(port, 'victim.example', 'A'))).toEqual(['192.0.2.0']);
  expect(await askUdp(port, 'api.virtual.consul', 'A')).toMatchObject({ rcode: 'NOERROR' });
  // each that lost its place was told so
  expect(await limited('questions')).toBeGreaterThanOrEqual(500);
});

function data(reply: Reply): unknown[] {
  return (reply.answers ?? []).map((record) => ('data' in record ? record.data : undefined));
}

describe('TCP', () => {
  const connectTo = (port: number) => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    open.push({ close: () => socket.destroy() });
    return socket;
  };

  test('a byte now and then does not hold a connection', async () => {
    const { port } = await start({ tcpMessageMs: 300 });
    const socket = connectTo(port).resume();
    let closed = false;
    const drip = setInterval(() => socket.write('x'), 20);
    open.push({ close: () => clearInterval(drip) });
    // a length that says much more is to come
    socket.write(Buffer.from([0x20, 0x00]));
    socket.on('close', () => {
      closed = true;
    });
    while (!closed) await new Promise((resolve) => setTimeout(resolve, 10));
  });

  test('nor does not taking the answers', async () => {
    const { port } = await start({ tcpMessageMs: 300 });
    const socket = connectTo(port).pause();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const message = framed(query('many.service.consul', 'SRV'));
    // more answers than the sockets of both sides can hold
    for (let i = 0; i < 2000; i++) socket.write(message);
    // a client that does not read learns of the end when it writes
    const writing = setInterval(() => socket.write(message), 20);
    open.push({ close: () => clearInterval(writing) });
    await closed;
  });

  test('who holds all connections loses the oldest to the next: an honest client is answered', async () => {
    const { port, limited } = await start({ tcpMessageMs: 600_000 });
    const held = Array.from({ length: 256 }, () => connectTo(port).resume());
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    expect(await askTcp(port, 'api.virtual.consul', 'A')).toMatchObject({ rcode: 'NOERROR' });
    expect(await limited('connections')).toBeGreaterThanOrEqual(192);
  });

  test('a query in single bytes is put together once', async () => {
    const { port } = await start();
    const socket = connectTo(port);
    socket.setNoDelay(true);
    const bytes = framed(query('api.virtual.consul', 'A'));
    for (const byte of bytes) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [reply] = (await once(socket, 'data')) as [Buffer];
    expect(rcode(reply.subarray(2))).toBe('NOERROR');
    expect(await exchangeTcp(port, Buffer.concat([bytes, bytes, bytes]), 3)).toHaveLength(3);
  });
});

describe('all addresses of the host', () => {
  /** A connected socket takes answers only from the address that it asked. */
  const askAt = async (address: string, port: number): Promise<string> => {
    const socket = createSocket('udp4');
    try {
      socket.connect(port, address);
      await once(socket, 'connect');
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      const refused = once(socket, 'error').then(([error]) => {
        throw error;
      });
      socket.send(query('api.virtual.consul', 'A'));
      const [reply] = await Promise.race([answer, refused]);
      return rcode(reply);
    } finally {
      socket.close();
    }
  };

  test('each answers for itself, those that come later too, and those that go are let go', async () => {
    const clock = new ManualClock();
    let addresses = ['127.0.0.1', '127.0.0.2', '::1'];
    const { port } = await start({ host: '0.0.0.0', hostAddresses: () => addresses, clock });
    expect(await askAt('127.0.0.1', port)).toBe('NOERROR');
    expect(await askAt('127.0.0.2', port)).toBe('NOERROR');
    await expect(askAt('127.0.0.3', port)).rejects.toThrow('ECONNREFUSED');
    addresses = ['127.0.0.2', '127.0.0.3'];
    const until = async (address: string, wanted: string) => {
      for (;;) {
        clock.advance(5000);
        const got = await askAt(address, port).catch((error: Error) => error.message);
        if (got.includes(wanted)) return;
      }
    };
    await until('127.0.0.3', 'NOERROR');
    await until('127.0.0.1', 'ECONNREFUSED');
    expect(await askAt('127.0.0.2', port)).toBe('NOERROR');
  });

  test('the real ones', async () => {
    const { port } = await start({ host: '0.0.0.0' });
    const { addressesOfHost } = await import('../../../src/dns/listeners.ts');
    const own = addressesOfHost().filter((address) => address.includes('.'));
    expect(own).toContain('127.0.0.1');
    for (const address of own) expect(await askAt(address, port)).toBe('NOERROR');
  });

  test('an address that somebody else holds is an error at the start', async () => {
    const other = createSocket('udp4').bind(0, '127.0.0.2');
    await once(other, 'listening');
    open.push({ close: () => other.close() });
    await expect(start({ host: '0.0.0.0', port: other.address().port, hostAddresses: () => ['127.0.0.1', '127.0.0.2'] })).rejects.toThrow('the port is in use');
  });
});
