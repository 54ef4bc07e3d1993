import type { Socket } from 'node:net';
import { withLength } from './recursor.ts';

/**
 * Serves one client over TCP: any number of queries, each behind its length, answered one after another. While one is being
 * answered no further bytes are read, which bounds what a client can pile up. Ends when the client does, is silent for
 * `idleMs`, or sends what deserves no answer.
 */
export async function serveTcpConnection(socket: Socket, idleMs: number, respond: (message: Buffer) => Promise<Buffer | undefined>): Promise<void> {
  socket.setTimeout(idleMs, () => socket.destroy());
  let received = Buffer.alloc(0);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const reply = await respond(received.subarray(2, end));
        received = received.subarray(end);
        if (!reply) return;
        if (!socket.write(withLength(reply))) await drained(socket);
      }
    }
    socket.end();
  } catch {
    // The client went away in the middle: nothing is owed to it.
  } finally {
    socket.destroySoon();
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', resolve);
  });
}
