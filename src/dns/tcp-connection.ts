import type { Socket } from 'node:net';
import { withLength } from './recursor.ts';

/**
 * Serves one client over TCP: any number of queries, each behind its length, answered one after another. While one is being
 * answered no further bytes are read, which bounds what a client can pile up. Ends when the client does, when it takes longer than
 * `messageMs` to send a whole query or to take an answer (however often it sends a byte), or when it sends what deserves no answer.
 */
export async function serveTcpConnection(socket: Socket, messageMs: number, respond: (message: Buffer) => Promise<Buffer | undefined>): Promise<void> {
  let timer = deadline(socket, messageMs);
  let chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      // put together only when a message is whole: a byte at a time costs a byte at a time
      while (bytes >= 2 && bytes >= 2 + lengthIn(chunks)) {
        const received = Buffer.concat(chunks);
        const end = 2 + received.readUInt16BE(0);
        clearTimeout(timer);
        const reply = await respond(received.subarray(2, end));
        chunks = [received.subarray(end)];
        bytes -= end;
        if (!reply) return;
        timer = deadline(socket, messageMs);
        if (!socket.write(withLength(reply))) await drained(socket);
        clearTimeout(timer);
        timer = deadline(socket, messageMs);
      }
    }
    socket.end();
  } catch {
    // The client went away in the middle: nothing is owed to it.
  } finally {
    clearTimeout(timer);
    socket.destroySoon();
  }
}

function deadline(socket: Socket, ms: number): NodeJS.Timeout {
  return setTimeout(() => socket.destroy(), ms);
}

/** The length that the first two bytes say. */
function lengthIn(chunks: Buffer[]): number {
  const [first] = chunks;
  if (first && first.length >= 2) return first.readUInt16BE(0);
  const start = Buffer.concat(chunks);
  chunks.splice(0, chunks.length, start);
  return start.readUInt16BE(0);
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', resolve);
  });
}
