import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type AddressInfo, createServer, isIP, type Server } from 'node:net';

/** The same port over both transports. */
export interface Listeners {
  readonly udp: UdpSocket;
  readonly tcp: Server;
}

/** Another program may hold the UDP port of a free TCP port; with port 0 another pair is tried this often. */
const ATTEMPTS = 10;

/** Binds both; rejects with the system's error, and then holds neither. */
export async function listenOnBoth(address: string, port: number): Promise<Listeners> {
  for (let attempt = 1; ; attempt += 1) {
    const tcp = await listenTcp(address, port);
    try {
      const udp = await bindUdp(address, (tcp.address() as AddressInfo).port);
      return { udp, tcp };
    } catch (error) {
      await new Promise((resolve) => tcp.close(resolve));
      if (port !== 0 || attempt === ATTEMPTS) throw error;
    }
  }
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

function bindUdp(address: string, port: number): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: isIP(address) === 6 ? 'udp6' : 'udp4' });
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
