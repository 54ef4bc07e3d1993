import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type AddressInfo, createServer, isIP, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The same port over both transports. */
export interface Listeners {
  /** By address. One for each address of the host where all were asked for. */
  readonly udp: Map<string, UdpSocket>;
  readonly tcp: Server;
}

/** Another program may hold the UDP port of a free TCP port; with port 0 another pair is tried this often. */
const ATTEMPTS = 10;

export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** Binds both; rejects with the system's error, and then holds neither. */
export async function listenOnBoth(address: string, port: number, hostAddresses: () => readonly string[]): Promise<Listeners> {
  for (let attempt = 1; ; attempt += 1) {
    const tcp = await listenTcp(address, port);
    const udp = new Map<string, UdpSocket>();
    try {
      for (const own of udpAddresses(address, hostAddresses)) udp.set(own, await bindUdp(own, (tcp.address() as AddressInfo).port));
      return { udp, tcp };
    } catch (error) {
      for (const socket of udp.values()) socket.close();
      await new Promise((resolve) => tcp.close(resolve));
      if (port !== 0 || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * The addresses that UDP is bound to. A socket for all addresses answers from the one that leads to the client, which need not be the one
 * that was asked; resolvers drop such an answer. (Node cannot choose the source of a datagram.) So each address has a socket of its own.
 */
export function udpAddresses(address: string, hostAddresses: () => readonly string[]): readonly string[] {
  if (!isWildcard(address)) return [address];
  return hostAddresses().filter((own) => address === '::' || isIP(own) === 4);
}

/** All addresses of this host's interfaces that are up. */
export function addressesOfHost(): string[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address, family, scopeid }) => (family === 'IPv6' && scopeid ? `${address}%${name}` : address)),
  );
  return [...new Set(all)];
}

function listenTcp(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true });
    server.once('error', reject);
    server.listen({ host: address, port }, () => {
      server.removeListener('error', reject);
      resolve(server);
    });
  });
}

export function bindUdp(address: string, port: number): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(address) === 4 ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true });
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
