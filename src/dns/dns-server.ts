import type { Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { type AddressInfo, isIP, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { isLogged, type Logger } from '../runtime/logger.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { AnswerBudget, type AnswerRate } from './answer-budget.ts';
import { clientAddress, DEFAULT_CLIENT_NETWORKS, parseClientNetworks } from './client-networks.ts';
import { Forwarder } from './forwarder.ts';
import { addressesOfHost, bindUdp, isWildcard, type Listeners, listenOnBoth, udpAddresses } from './listeners.ts';
import { cutReply } from './message.ts';
import type { NameTable } from './name-table.ts';
import { Places } from './places.ts';
import { parseRecursor, type Recursor } from './recursor.ts';
import { createResponder, type LimitReason, type Responder } from './responder.ts';
import { serveTcpConnection } from './tcp-connection.ts';
import { DEFAULT_ZONE, type Zone } from './zone.ts';

/** In all, and of one client; one more ends the oldest of the client that has most. */
const MOST_TCP_CONNECTIONS = 256;
const MOST_TCP_CONNECTIONS_PER_CLIENT = 64;
/** How soon a new address of the host is answered on, where all were asked for. */
const LOOK_FOR_ADDRESSES_MS = 5000;

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
  /** Networks that are answered, as `parseClientNetworks` reads them; others are refused. Default: this host, and `DEFAULT_CLIENT_NETWORKS`. */
  readonly clients?: readonly string[];
  readonly metrics?: Metrics;
  readonly logger: Logger;
  /** Closes the server. */
  readonly signal?: AbortSignal;
  /** Default the system's. */
  readonly clock?: Clock;
  /** Shuffles instances; default `Math.random`. */
  readonly random?: () => number;
  /** How long a TCP client may take for each query, and to take each answer; default 10 s. */
  readonly tcpMessageMs?: number;
  /** Bytes of answers over UDP to one network; default as in answer-budget.ts. */
  readonly answerRate?: AnswerRate;
  /** Default: the addresses of this host's interfaces. */
  readonly hostAddresses?: () => readonly string[];
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

/** Serves the mesh's names over UDP and TCP. Rejects with `DnsListenError`, `RecursorError` or `ClientNetworkError`. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { logger, clock = systemClock, metrics = createMetrics(), recursorTimeoutMs: timeoutMs = 2_000, hostAddresses = addressesOfHost } = options;
  const recursors = (options.recursors ?? []).map(requireRecursor);
  const allows = options.clients ? parseClientNetworks(options.clients) : byDefault(hostAddresses, clock);
  let listeners: Listeners;
  let asked: string;
  try {
    asked = isIP(options.host) ? options.host : (await lookup(options.host)).address;
    listeners = await listenOnBoth(asked, options.port, hostAddresses);
  } catch (error) {
    throw new DnsListenError(options.host, options.port, error as NodeJS.ErrnoException);
  }
  const { address, port } = listeners.tcp.address() as AddressInfo;
  const limited = (reason: LimitReason) => metrics.dnsLimited.inc({ reason });
  const forwarder = new Forwarder({ recursors, timeoutMs, logger, limited: () => limited('questions') });
  const responder = createResponder({ names: options.names, zone: () => zoneOf(options, address), forwarder, allows, limited, logger });
  const counted: Responder = (message, transport, client) => {
    metrics.dnsQueries.inc({ transport });
    return responder(message, transport, client);
  };
  const budget = new AnswerBudget(options.answerRate);
  const whole = (client: string, bytes: number) => budget.take(client, bytes, clock.now());
  const serve = (socket: UdpSocket) => serveUdp(socket, { responder: counted, whole, limited, logger });
  for (const socket of listeners.udp.values()) serve(socket);
  const connections = serveTcp(listeners.tcp, counted, options.tcpMessageMs ?? 10_000, limited, logger);
  const stopLooking = isWildcard(asked)
    ? followAddresses({ listeners, port, wanted: () => udpAddresses(asked, hostAddresses), serve, clock, logger })
    : () => {};

  let closed: Promise<void> | undefined;
  const close = () => {
    stopLooking();
    closed ??= closeAll(listeners, connections, forwarder);
    return closed;
  };
  if (options.signal?.aborted) await close();
  else options.signal?.addEventListener('abort', close, { once: true });
  return { host: address, port, close };
}

/** This host is answered whatever its addresses are; they are looked up again now and then. */
function byDefault(hostAddresses: () => readonly string[], clock: Clock): (client: string) => boolean {
  const allows = parseClientNetworks(DEFAULT_CLIENT_NETWORKS);
  let own = new Set<string>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  return (client) => {
    if (allows(client)) return true;
    if (Math.abs(clock.now() - lookedAt) >= LOOK_FOR_ADDRESSES_MS) {
      own = new Set(hostAddresses().map((address) => String(clientAddress(address))));
      lookedAt = clock.now();
    }
    return own.has(String(clientAddress(client)));
  };
}

interface FollowOptions {
  readonly listeners: Listeners;
  readonly port: number;
  readonly wanted: () => readonly string[];
  readonly serve: (socket: UdpSocket) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Binds the addresses that the host gets while adsum runs, and lets go of those it loses. The result ends that. */
function followAddresses({ listeners, port, wanted, serve, clock, logger }: FollowOptions): () => void {
  const failed = new Set<string>();
  let stopped = false;
  let cancel = () => {};
  const look = async () => {
    const addresses = new Set(wanted());
    for (const [address, socket] of listeners.udp) {
      if (addresses.has(address)) continue;
      listeners.udp.delete(address);
      socket.close();
    }
    for (const address of addresses) {
      if (stopped || listeners.udp.has(address)) continue;
      try {
        const socket = await bindUdp(address, port);
        if (stopped) socket.close();
        else {
          listeners.udp.set(address, socket);
          serve(socket);
          failed.delete(address);
        }
      } catch (error) {
        if (!failed.has(address)) logger.warn({ address, port, error: (error as Error).message }, 'DNS cannot answer over UDP on an address of this host');
        failed.add(address);
      }
    }
    if (!stopped) cancel = clock.after(LOOK_FOR_ADDRESSES_MS, () => void look());
  };
  cancel = clock.after(LOOK_FOR_ADDRESSES_MS, () => void look());
  return () => {
    stopped = true;
    cancel();
  };
}

function requireRecursor(text: string): Recursor {
  const recursor = parseRecursor(text);
  if (!recursor) throw new RecursorError(text);
  return recursor;
}

function zoneOf(options: DnsServerOptions, address: string): Zone {
  const { datacenter, domain = DEFAULT_ZONE.domain, random = Math.random, clock = systemClock } = options;
  const serial = Math.floor(clock.now() / 1000) % 2 ** 32;
  return { ...DEFAULT_ZONE, domain, datacenter, random, serial, nameServerAddresses: isWildcard(address) ? [] : [address] };
}

interface UdpService {
  readonly responder: Responder;
  /** Whether so many bytes may go to a client now. */
  readonly whole: (client: string, bytes: number) => boolean;
  readonly limited: (reason: LimitReason) => void;
  readonly logger: Logger;
}

function serveUdp(socket: UdpSocket, { responder, whole, limited, logger }: UdpService): void {
  socket.on('error', (error) => logger.error({ error: error.message }, 'the DNS socket reports an error'));
  // What cannot be sent is lost, as UDP is; the client asks again.
  const lost = (client: string, error: Error | null | undefined) => {
    if (error && isLogged(logger, 'debug')) logger.debug({ client, error: error.message }, 'cannot send a DNS reply');
  };
  socket.on('message', (message, client) => {
    void responder(message, 'udp', client.address).then((reply) => {
      if (!reply) return;
      // what is not larger than its question gains nothing for one who forges the source
      const fits = reply.length <= message.length || whole(client.address, reply.length);
      if (!fits) limited('rate');
      try {
        socket.send(fits ? reply : cutReply(reply), client.port, client.address, (error) => lost(client.address, error));
      } catch (error) {
        // closed while the answer was worked out
        lost(client.address, error as Error);
      }
    });
  });
}

/** @returns the open connections, kept up to date */
function serveTcp(server: Server, responder: Responder, messageMs: number, limited: (reason: LimitReason) => void, logger: Logger): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  const places = new Places<Socket>({
    most: MOST_TCP_CONNECTIONS,
    mostPerClient: MOST_TCP_CONNECTIONS_PER_CLIENT,
    evict: (socket) => {
      limited('connections');
      socket.destroy();
    },
  });
  server.on('error', (error) => logger.error({ error: error.message }, 'the DNS listener reports an error'));
  server.on('connection', (socket) => {
    const client = socket.remoteAddress;
    if (client === undefined) return socket.destroy();
    connections.add(socket);
    places.take(client, socket);
    socket.once('close', () => {
      connections.delete(socket);
      places.give(client, socket);
    });
    socket.on('error', () => {});
    return void serveTcpConnection(socket, messageMs, (message) => responder(message, 'tcp', client));
  });
  return connections;
}

async function closeAll({ udp, tcp }: Listeners, connections: ReadonlySet<Socket>, forwarder: Forwarder): Promise<void> {
  forwarder.close();
  const udpClosed = Array.from(udp.values(), (socket) => new Promise<void>((resolve) => socket.close(() => resolve())));
  const tcpClosed = new Promise<void>((resolve) => tcp.close(() => resolve()));
  for (const socket of connections) socket.destroy();
  await Promise.all([...udpClosed, tcpClosed]);
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EACCES') return 'ports below 1024 need root';
  if (code === 'EADDRNOTAVAIL') return 'no interface has this address';
  return message;
}
