import type { Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { type AddressInfo, isIP, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { Forwarder } from './forwarder.ts';
import { type Listeners, listenOnBoth } from './listeners.ts';
import type { NameTable } from './name-table.ts';
import { parseRecursor, type Recursor } from './recursor.ts';
import { createResponder, type Responder } from './responder.ts';
import { serveTcpConnection } from './tcp-connection.ts';
import { DEFAULT_ZONE, type Zone } from './zone.ts';

const MOST_TCP_CONNECTIONS = 256;

export interface DnsServerOptions {
  /** An IP address, or a name that stands for one. */
  readonly host: string;
  /** 0 takes any free one, the same for UDP and TCP. */
  readonly port: number;
  readonly datacenter: string;
  /** Default `consul`. */
  readonly domain?: string;
  /** The names as they are now; asked once for every query. */
  readonly names: () => NameTable;
  /** Who answers for other domains, as `parseRecursor` reads them; without any they are refused. */
  readonly recursors?: readonly string[];
  readonly logger: Logger;
  /** Closes the server. */
  readonly signal?: AbortSignal;
  /** For the SOA serial; default the system's. */
  readonly clock?: Pick<Clock, 'now'>;
  /** Shuffles instances; default `Math.random`. */
  readonly random?: () => number;
  /** A silent TCP connection is closed after this; default 10 s. */
  readonly tcpIdleMs?: number;
  /** How long to wait for each recursor; default 2 s. */
  readonly recursorTimeoutMs?: number;
}

export interface DnsServer {
  readonly host: string;
  readonly port: number;
  /** Resolves when both ports are free again. */
  close(): Promise<void>;
}

/** The DNS port cannot be had; `message` is one line for people, with the cure. */
export class DnsListenError extends Error {
  /** The system's, e.g. `EADDRINUSE`. */
  readonly code: string | undefined;

  constructor(host: string, port: number, cause: NodeJS.ErrnoException) {
    const where = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    super(`cannot serve DNS on ${where}: ${reasonOf(cause)} (choose another with --dns HOST:PORT, or --dns off)`, { cause });
    this.name = 'DnsListenError';
    this.code = cause.code;
  }
}

/** What was given as a recursor is no address. */
export class RecursorError extends Error {
  readonly code = 'dns-bad-recursor';

  constructor(text: string) {
    super(`--dns-recursor ${JSON.stringify(text)} is not an IP address with an optional port, such as 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53`);
    this.name = 'RecursorError';
  }
}

/** Serves the mesh's names over UDP and TCP. Rejects with `DnsListenError` or `RecursorError`. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { logger, recursorTimeoutMs: timeoutMs = 2_000 } = options;
  const recursors = (options.recursors ?? []).map(requireRecursor);
  let listeners: Listeners;
  try {
    const address = isIP(options.host) ? options.host : (await lookup(options.host)).address;
    listeners = await listenOnBoth(address, options.port);
  } catch (error) {
    throw new DnsListenError(options.host, options.port, error as NodeJS.ErrnoException);
  }
  const { address, port } = listeners.tcp.address() as AddressInfo;
  const forwarder = new Forwarder({ recursors, timeoutMs, logger });
  const responder = createResponder({ names: options.names, zone: () => zoneOf(options, address), forwarder, logger });
  serveUdp(listeners.udp, responder, logger);
  const connections = serveTcp(listeners.tcp, responder, options.tcpIdleMs ?? 10_000, logger);

  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= closeAll(listeners, connections, forwarder);
    return closed;
  };
  if (options.signal?.aborted) await close();
  else options.signal?.addEventListener('abort', close, { once: true });
  return { host: address, port, close };
}

function requireRecursor(text: string): Recursor {
  const recursor = parseRecursor(text);
  if (!recursor) throw new RecursorError(text);
  return recursor;
}

function zoneOf(options: DnsServerOptions, address: string): Zone {
  const { datacenter, domain = DEFAULT_ZONE.domain, random = Math.random, clock = systemClock } = options;
  const isWildcard = address === '0.0.0.0' || address === '::';
  const serial = Math.floor(clock.now() / 1000) % 2 ** 32;
  return { ...DEFAULT_ZONE, domain, datacenter, random, serial, nameServerAddresses: isWildcard ? [] : [address] };
}

function serveUdp(socket: UdpSocket, responder: Responder, logger: Logger): void {
  let open = true;
  socket.once('close', () => {
    open = false;
  });
  socket.on('error', (error) => logger.error({ error: error.message }, 'the DNS socket reports an error'));
  socket.on('message', (message, client) => {
    void responder(message, 'udp').then((reply) => {
      if (!reply || !open) return;
      // What cannot be sent is lost, as UDP is; the client asks again.
      socket.send(reply, client.port, client.address, (error) => {
        if (error) logger.debug({ client: client.address, error: error.message }, 'cannot send a DNS reply');
      });
    });
  });
}

/** @returns the open connections, kept up to date */
function serveTcp(server: Server, responder: Responder, idleMs: number, logger: Logger): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  server.maxConnections = MOST_TCP_CONNECTIONS;
  server.on('error', (error) => logger.error({ error: error.message }, 'the DNS listener reports an error'));
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    socket.on('error', () => {});
    void serveTcpConnection(socket, idleMs, (message) => responder(message, 'tcp'));
  });
  return connections;
}

async function closeAll({ udp, tcp }: Listeners, connections: ReadonlySet<Socket>, forwarder: Forwarder): Promise<void> {
  forwarder.close();
  const udpClosed = new Promise<void>((resolve) => udp.close(() => resolve()));
  const tcpClosed = new Promise<void>((resolve) => tcp.close(() => resolve()));
  for (const socket of connections) socket.destroy();
  await Promise.all([udpClosed, tcpClosed]);
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EACCES') return 'ports below 1024 need root';
  if (code === 'EADDRNOTAVAIL') return 'no interface has this address';
  return message;
}
