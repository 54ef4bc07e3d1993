import { connect, createServer } from 'node:net';

/**
 * A connection to this address comes back to this host, at the port dialed, exactly where the rules of `adsum redirect-traffic` are in
 * place; also one of the proxy's own user, whose other connections are left alone. It is the network address of Consul's virtual
 * IPs, 240.0.0.0/4, so no service has it, and it needs the same route as they do.
 */
export const PROOF_ADDRESS = '240.0.0.0';

/** A connection that stays on this host takes no time; one that leaves it is never answered. */
const TIMEOUT_MS = 2_000;

/** Why connections of this network namespace do not reach the proxy; undefined: they do. Any user may ask. */
export async function whyNotRedirected(address: string = PROOF_ADDRESS): Promise<string | undefined> {
  const arrived = new Set<number | undefined>();
  const server = createServer((socket) => {
    arrived.add(socket.remotePort);
    socket.destroy();
  });
  const port = await new Promise<number>((listening, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      listening(typeof bound === 'object' && bound ? bound.port : 0);
    });
  });
  try {
    const dialed = await dial(address, port);
    if ('obstacle' in dialed) return dialed.obstacle;
    return arrived.has(dialed.localPort) ? undefined : `somebody else answers at ${address}`;
  } finally {
    server.close();
  }
}

/** Resolves when the other side has closed the connection, or when there never was one. */
function dial(host: string, port: number): Promise<{ readonly localPort: number | undefined } | { readonly obstacle: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let localPort: number | undefined;
    const leaves = (how: string) => ({ obstacle: `a connection to ${host} leaves this host (${how})` });
    socket.setTimeout(TIMEOUT_MS, () => {
      resolve(leaves('no answer'));
      socket.destroy();
    });
    socket.on('connect', () => {
      localPort = socket.localPort;
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (localPort !== undefined) return;
      const unrouted = code === 'ENETUNREACH';
      resolve(unrouted ? { obstacle: 'there is no route to virtual IPs (240.0.0.0/4); a default route will do' } : leaves(code ?? 'failed'));
    });
    socket.on('close', () => resolve({ localPort }));
    socket.resume();
  });
}
