import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';
import type { Clock } from '../runtime/clock.ts';
import type { XdsLimits } from './limits.ts';

/** The address cannot be listened on. `code` is the system's, e.g. `EADDRINUSE`. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
  }
}

export interface XdsListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: XdsLimits;
  readonly clock: Clock;
  /** Takes over a connection. */
  readonly accept: (socket: Socket) => void;
  /** A connection was closed because of a limit. */
  readonly refused: (reason: 'connections' | 'first_stream_deadline', peer: string) => void;
}

const TICK_MS = 1000;
/** The kernel asks a peer that is silent for so long whether it is still there, and ends the connection when ten questions in a row go unanswered. */
const KEEPALIVE_MS = 30_000;

/** The TCP side of the xDS port: how many connections there are, and how long one may take to become useful. */
export class XdsListener {
  readonly #options: XdsListenerOptions;
  readonly #servers: Server[] = [];
  readonly #open = new Set<Socket>();
  /** Connections without a stream yet, by peer, with their age in ticks. */
  readonly #fresh = new Map<string, { readonly socket: Socket; age: number }>();
  #ticking = false;

  constructor(options: XdsListenerOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#open.size;
  }

  /**
   * Listens on every address that the host stands for.
   * @returns the port
   * @throws ListenError
   */
  async listen(): Promise<number> {
    const { host } = this.#options;
    let { port } = this.#options;
    try {
      const addresses = isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
      for (const address of new Set(addresses)) {
        const server = await this.#bind(address, port);
        this.#servers.push(server);
        port = (server.address() as AddressInfo).port;
      }
      return port;
    } catch (error) {
      this.close();
      const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException;
      const target = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
      throw new ListenError(code, `cannot listen on ${target}: ${code === 'UNKNOWN' ? message : code}`);
    }
  }

  /** The connection of this peer has carried a stream. */
  established(peer: string): void {
    this.#fresh.delete(peer);
  }

  /** Takes no more connections; those that are open stay. */
  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  #bind(host: string, port: number): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS }, (socket) => this.#accept(socket));
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        server.on('error', () => {});
        resolve(server);
      });
    });
  }

  #accept(socket: Socket): void {
    const { limits, accept, refused } = this.#options;
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    if (this.#open.size >= limits.connections) {
      socket.destroy();
      refused('connections', peer);
      return;
    }
    this.#open.add(socket);
    this.#fresh.set(peer, { socket, age: 0 });
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#fresh.get(peer)?.socket === socket) this.#fresh.delete(peer);
    });
    // a client that resets its connection during the handshake is nothing to report
    socket.on('error', () => {});
    accept(socket);
    this.#tick();
  }

  /** Ages are counted in ticks and not in time: while adsum itself was too busy to read, nobody is late. */
  #tick(): void {
    if (this.#ticking || this.#fresh.size === 0) return;
    this.#ticking = true;
    const { clock, limits, refused } = this.#options;
    clock.after(TICK_MS, () => {
      this.#ticking = false;
      for (const [peer, fresh] of this.#fresh) {
        if (++fresh.age * TICK_MS < limits.firstStreamMs) continue;
        this.#fresh.delete(peer);
        fresh.socket.destroy();
        refused('first_stream_deadline', peer);
      }
      this.#tick();
    });
  }
}
