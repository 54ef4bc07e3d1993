import { readFileSync } from 'node:fs';
import ipaddr from 'ipaddr.js';

/**
 * The user at the other end of a loopback TCP connection, from the kernel's socket table. Undefined when the peer is not
 * on this host (or the table cannot be read): callers must then refuse.
 * @param peer the connection's remote address and port, as the server sees them
 */
export function peerUid(peer: { address: string; port: number }): number | undefined {
  const address = ipaddr.process(peer.address);
  if (address.range() !== 'loopback') return undefined;
  const wanted = peer.port.toString(16).toUpperCase().padStart(4, '0');
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readTable(table)) {
      // "  0: 0100007F:1F90 …": local address, remote address, state, queues, timer, retransmits, uid
      const [, local, , , , , , uid] = line.trim().split(/\s+/);
      const [host, port] = local?.split(':') ?? [];
      if (port === wanted && host && isLoopback(host)) return Number(uid);
    }
  }
  return undefined;
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

/** The table writes addresses as little-endian words: 127.x.x.x ends in 7F; ::1 and ::ffff:127.x.x.x likewise in their last word. */
function isLoopback(hex: string): boolean {
  return hex.length === 8
    ? hex.endsWith('7F')
    : hex === '00000000000000000000000001000000' || (hex.startsWith('0000000000000000FFFF0000') && hex.endsWith('7F'));
}
