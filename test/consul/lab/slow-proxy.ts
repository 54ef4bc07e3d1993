import { createServer, request } from 'node:http';
import { freePort } from '../../feature/run-adsum.ts';

/** Between adsum and a Consul: every answer is held up, and every request counted. */
export interface SlowProxy {
  readonly url: string;
  /** Paths without their queries, in the order they came. */
  readonly asked: readonly string[];
  close(): void;
}

/** @param delayMs for the request of that number, from 0 */
export async function startSlowProxy(target: string, delayMs: (at: number) => number): Promise<SlowProxy> {
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const waitMs = delayMs(asked.length);
    asked.push(incoming.url?.split('?')[0] ?? '');
    const { method, headers } = incoming;
    const forwarded = request(`${target}${incoming.url}`, { method, headers, agent: false }, (answer) => {
      const timer = setTimeout(() => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      }, waitMs);
      outgoing.on('close', () => clearTimeout(timer));
    });
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  const port = await freePort();
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
