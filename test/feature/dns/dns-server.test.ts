import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import dnsPacket from 'dns-packet';
import { afterEach, describe, expect, test } from 'vitest';
import { type DnsServer, type DnsServerOptions, startDnsServer } from '../../../src/dns/dns-server.ts';
import type { NamedInstance, NameTable } from '../../../src/dns/name-table.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { askTcp, askUdp, exchangeTcp, exchangeUdp, framed, query, type Reply } from './dns-client.ts';

function instance(address: string, port = 8080, more: Partial<NamedInstance> = {}): NamedInstance {
  return { address, port, node: 'n', weight: 1, health: 'passing', ...more };
}

const many = Array.from({ length: 200 }, (_, i) => instance(`10.0.${Math.floor(i / 100)}.${i % 100}`));
const services: Record<string, NamedInstance[]> = {
  api: [instance('10.0.0.1'), instance('10.0.0.2', 8081, { health: 'warning' }), instance('10.0.0.3', 8080, { health: 'critical' })],
  many,
  outside: [instance('db.example.com', 5432)],
};
const names: NameTable = {
  virtualAddresses: (service) => (service === 'api' ? ['240.0.0.1'] : undefined),
  instances: (service) => services[service],
  proxies: (service) => (service === 'api' ? [instance('10.0.0.1', 21000)] : undefined),
};

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));

const started: DnsServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.close();
});

async function start(more: Partial<DnsServerOptions> = {}): Promise<DnsServer> {
  const server = await startDnsServer({ host: '127.0.0.1', port: 0, datacenter: 'dc1', names: () => names, logger: silentLogger, ...more });
  started.push(server);
  return server;
}

/** Another DNS server, in a few lines: replies with what `respond` makes of a query, over both transports. */
async function startRecursor(respond: (message: Buffer, transport: 'udp' | 'tcp') => Buffer | undefined): Promise<{ port: number; close: () => void }> {
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const reply = respond(data.subarray(2), 'tcp');
      if (reply) socket.end(framed(reply));
    });
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };
  const udp = createSocket('udp4', (message, client) => {
    const reply = respond(message, 'udp');
    if (reply) udp.send(reply, client.port, client.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  const close = () => {
    udp.close();
    tcp.close();
  };
  return { port, close };
}

function addressReply(message: Buffer, address: string, flags = 0): Buffer {
  const asked = dnsPacket.decode(message);
  const [question] = asked.questions ?? [];
  const answers = [{ type: 'A', name: question?.name ?? '', ttl: 60, data: address } as const];
  return dnsPacket.encode({ type: 'response', id: asked.id, flags, questions: asked.questions, answers: flags ? [] : answers });
}

function data(reply: Reply): unknown[] {
  return (reply.answers ?? []).map((record) => ('data' in record ? record.data : undefined));
}

describe('over UDP and TCP', () => {
  test.each(['udp', 'tcp'] as const)('answers over %s', async (transport) => {
    const { port } = await start();
    const ask = transport === 'udp' ? askUdp : askTcp;
    const virtual = await ask(port, 'api.virtual.consul', 'A');
    expect(virtual).toMatchObject({ rcode: 'NOERROR', flag_aa: true, flag_qr: true, flag_rd: true, flag_ra: false });
    expect(data(virtual)).toEqual(['240.0.0.1']);
    expect(data(await ask(port, 'api.service.consul', 'A')).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(await ask(port, 'nope.virtual.consul', 'A')).toMatchObject({ rcode: 'NXDOMAIN', authorities: [{ type: 'SOA', name: 'consul' }] });
    expect(await ask(port, 'example.com', 'A')).toMatchObject({ rcode: 'REFUSED', flag_aa: false });
  });

  test('echoes the question as it came, even in mixed case and of a type nobody knows', async () => {
    const { port } = await start();
    const mixed = await askUdp(port, 'Api.VIRTUAL.cOnSuL', 'A');
    expect(mixed.questions).toEqual([{ name: 'Api.VIRTUAL.cOnSuL', type: 'A', class: 'IN' }]);
    expect(mixed.answers).toMatchObject([{ name: 'Api.VIRTUAL.cOnSuL', data: '240.0.0.1' }]);
    const https = await askUdp(port, 'api.virtual.consul', 'UNKNOWN_65');
    expect(https).toMatchObject({ rcode: 'NOERROR', answers: [], questions: [{ type: 'UNKNOWN_65' }], authorities: [{ type: 'SOA' }] });
  });

  test('cuts an answer to what the client takes, and gives all of it over TCP', async () => {
    const { port } = await start();
    for (const [edns, limit] of [
      [undefined, 512],
      [1232, 1232],
      [65_000, 1232],
      [100, 512],
    ] as const) {
      const message = query('many.service.consul', 'A', edns);
      const bytes = await exchangeUdp(port, message);
      const reply = dnsPacket.decode(bytes);
      expect(bytes.length).toBeLessThanOrEqual(limit);
      expect(bytes.length).toBeGreaterThan(limit - 64);
      expect(reply.flag_tc).toBe(true);
      expect(reply.additionals?.filter(({ type }) => type === 'OPT')).toHaveLength(edns === undefined ? 0 : 1);
    }
    const whole = await askTcp(port, 'many.service.consul', 'A');
    expect(whole.flag_tc).toBe(false);
    expect(whole.answers).toHaveLength(200);
  });

  test('leaves addresses out of an SRV answer before it calls it cut', async () => {
    const seven = { ...names, instances: () => many.slice(0, 7) };
    const { port } = await start({ names: () => seven });
    const reply = await askUdp(port, 'x.service.consul', 'SRV');
    expect(reply.flag_tc).toBe(false);
    expect(reply.answers).toHaveLength(7);
    expect(reply.additionals?.length).toBeLessThan(7);
    expect(await askUdp(port, 'x.service.consul', 'SRV', 4096)).toMatchObject({ additionals: { length: 8 } });
  });

  test('several queries on one TCP connection, also in one write and cut into single bytes', async () => {
    const { port } = await start();
    const both = Buffer.concat([framed(query('api.virtual.consul', 'A')), framed(query('api.connect.consul', 'SRV'))]);
    const replies = await exchangeTcp(port, both, 2);
    expect(replies.map((reply) => dnsPacket.decode(reply).answers?.[0]?.type)).toEqual(['A', 'SRV']);
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    for (const byte of framed(query('api.virtual.consul', 'A'))) socket.write(Buffer.from([byte]));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(data(dnsPacket.decode(first.subarray(2)) as Reply)).toEqual(['240.0.0.1']);
    socket.destroy();
  });

  test('closes a silent TCP connection', async () => {
    const { port } = await start({ tcpMessageMs: 30 });
    const socket = connect(port, '127.0.0.1').resume();
    await once(socket, 'close');
  });

  test('what cannot be read is answered with an error, and a response not at all', async () => {
    const { port } = await start();
    const good = query('api.virtual.consul', 'A');
    const cut = await exchangeUdp(port, good.subarray(0, 20));
    expect(dnsPacket.decode(cut)).toMatchObject({ rcode: 'FORMERR', id: good.readUInt16BE(0), questions: [] });
    const update = Buffer.from(good);
    update.writeUInt16BE(5 << 11, 2);
    expect(dnsPacket.decode(await exchangeUdp(port, update))).toMatchObject({ rcode: 'NOTIMP', opcode: 'UPDATE' });
    const response = Buffer.from(good);
    response.writeUInt16BE(0x8000, 2);
    await expect(exchangeUdp(port, response, 50)).rejects.toThrow();
    expect(await exchangeTcp(port, framed(response), 1)).toEqual([]);
    const twoQuestions = dnsPacket.encode({ type: 'query', id: 1, questions: [1, 2].map(() => ({ type: 'A', name: 'api.virtual.consul' })) });
    expect(dnsPacket.decode(await exchangeUdp(port, twoQuestions))).toMatchObject({ rcode: 'FORMERR' });
  });

  test('an EDNS version of the future is refused with BADVERS', async () => {
    const { port } = await start();
    const message = query('api.virtual.consul', 'A', 1232);
    message.writeUInt8(1, message.length - 5);
    const reply = dnsPacket.decode(await exchangeUdp(port, message));
    expect(reply).toMatchObject({ rcode: 'NOERROR', answers: [], additionals: [{ type: 'OPT', extendedRcode: 1 }] });
  });

  test('a defect in the names is SERVFAIL, and the server goes on', async () => {
    let broken = true;
    const { port } = await start({
      names: () => {
        if (broken) throw new Error('broken');
        return names;
      },
    });
    expect(await askUdp(port, 'api.virtual.consul', 'A')).toMatchObject({ rcode: 'SERVFAIL' });
    broken = false;
    expect(await askUdp(port, 'api.virtual.consul', 'A')).toMatchObject({ rcode: 'NOERROR' });
  });

  test('a port in use is one clear line, and leaves nothing behind', async () => {
    const { port } = await start();
    await expect(start({ port })).rejects.toThrow(
      `cannot serve DNS on 127.0.0.1:${port}: the port is in use (choose another with --dns HOST:PORT, or --dns off)`,
    );
    const udp = createSocket('udp4').bind(0, '127.0.0.1');
    await once(udp, 'listening');
    await expect(start({ port: udp.address().port })).rejects.toThrow('the port is in use');
    const tcp = createServer().listen(udp.address().port, '127.0.0.1');
    await once(tcp, 'listening');
    tcp.close();
    udp.close();
  });

  test('closes on its signal, and the port is free again', async () => {
    const stop = new AbortController();
    const server = await start({ signal: stop.signal });
    const idle = connect(server.port, '127.0.0.1').on('error', () => {});
    await once(idle, 'connect');
    stop.abort();
    await server.close();
    await start({ port: server.port });
  });

  test.skipIf(!hasIpv6)('IPv6', async () => {
    const server = await start({ host: '::1' });
    const socket = connect(server.port, '::1');
    socket.write(framed(query('ns.consul', 'AAAA')));
    const [reply] = (await once(socket, 'data')) as [Buffer];
    expect(data(dnsPacket.decode(reply.subarray(2)) as Reply)).toEqual(['::1']);
    socket.destroy();
  });
});

describe('other domains', () => {
  test('a recursor that is no address is refused at the start', async () => {
    await expect(start({ recursors: ['dns.example.com'] })).rejects.toThrow('--dns-recursor "dns.example.com" is not an IP address');
  });

  test('go to the recursor under another ID and come back under the old one, over both transports', async () => {
    const seen: number[] = [];
    const recursor = await startRecursor((message) => {
      seen.push(message.readUInt16BE(0));
      return addressReply(message, '192.0.2.7');
    });
    const { port } = await start({ recursors: [`127.0.0.1:${recursor.port}`] });
    const asked = Array.from({ length: 4 }, () => query('example.com', 'A'));
    for (const message of asked) {
      const reply = dnsPacket.decode(await exchangeUdp(port, message)) as Reply;
      expect(data(reply)).toEqual(['192.0.2.7']);
      expect(reply.id).toBe(message.readUInt16BE(0));
    }
    expect(seen).not.toEqual(asked.map((message) => message.readUInt16BE(0)));
    expect(data(await askTcp(port, 'example.com', 'A'))).toEqual(['192.0.2.7']);
    expect(await askUdp(port, 'api.virtual.consul', 'A')).toMatchObject({ flag_ra: true, answers: [{ data: '240.0.0.1' }] });
    recursor.close();
  });

  test('a silent or forging recursor is passed over for the next; SERVFAIL when none is left', async () => {
    const silent = await startRecursor(() => undefined);
    const forging = await startRecursor((message) => {
      const forged = addressReply(message, '192.0.2.66');
      forged.writeUInt16BE(message.readUInt16BE(0) ^ 1, 0);
      return forged;
    });
    const good = await startRecursor((message) => addressReply(message, '192.0.2.7'));
    const at = ({ port }: { port: number }) => `127.0.0.1:${port}`;
    const first = await start({ recursors: [at(silent), at(forging), at(good)], recursorTimeoutMs: 40 });
    expect(data(await askUdp(first.port, 'example.com', 'A'))).toEqual(['192.0.2.7']);
    const second = await start({ recursors: [at(silent)], recursorTimeoutMs: 40 });
    expect(await askUdp(second.port, 'example.com', 'A')).toMatchObject({ rcode: 'SERVFAIL', questions: [{ name: 'example.com' }] });
    expect(await askTcp(second.port, 'example.com', 'A')).toMatchObject({ rcode: 'SERVFAIL' });
    for (const recursor of [silent, forging, good]) recursor.close();
  });

  test('a cut reply stays cut, and the client gets the whole over TCP', async () => {
    const recursor = await startRecursor((message, transport) => addressReply(message, '192.0.2.7', transport === 'udp' ? dnsPacket.TRUNCATED_RESPONSE : 0));
    const { port } = await start({ recursors: [`127.0.0.1:${recursor.port}`] });
    expect(await askUdp(port, 'example.com', 'A')).toMatchObject({ flag_tc: true, answers: [] });
    expect(data(await askTcp(port, 'example.com', 'A'))).toEqual(['192.0.2.7']);
    recursor.close();
  });

  test('an instance at a host name: its CNAME, with the address where a recursor knows it', async () => {
    const recursor = await startRecursor((message) => addressReply(message, '192.0.2.7'));
    const { port } = await start({ recursors: [`127.0.0.1:${recursor.port}`] });
    const reply = await askUdp(port, 'outside.service.consul', 'A');
    expect(reply.answers).toMatchObject([
      { type: 'CNAME', name: 'outside.service.consul', data: 'db.example.com' },
      { type: 'A', name: 'db.example.com', data: '192.0.2.7' },
    ]);
    recursor.close();
  });
});

const hasDig = await promisify(execFile)('dig', ['-v']).then(
  () => true,
  () => false,
);

test.skipIf(!hasDig)('dig agrees', async () => {
  const { port } = await start();
  const dig = async (...args: string[]) => (await promisify(execFile)('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', ...args])).stdout;
  expect(await dig('+short', 'api.virtual.consul')).toBe('240.0.0.1\n');
  const srv = await dig('api.connect.consul', 'SRV');
  expect(srv).toContain('1 1 21000 0a000001.addr.dc1.consul.');
  expect(srv).toMatch(/0a000001\.addr\.dc1\.consul\.\s+0\s+IN\s+A\s+10\.0\.0\.1/);
  expect(await dig('+short', '0a000001.addr.dc1.consul')).toBe('10.0.0.1\n');
  expect(await dig('consul', 'SOA')).toContain('ns.consul. hostmaster.consul.');
  expect((await dig('+short', 'many.service.consul')).trim().split('\n')).toHaveLength(200);
  for (const output of [srv, await dig('nope.service.consul'), await dig('api.virtual.consul', 'AAAA')]) {
    expect(output).not.toMatch(/WARNING: (?!recursion)|malformed|mismatch/i);
  }
});
