import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { runCli } from '../../src/cli/run.ts';

/** Runs one adsum command in this process and gives back what a shell would see. */
export async function runAdsum(
  args: readonly string[],
  env: Record<string, string> = {},
  signal = new AbortController().signal,
): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const status = await runCli(args, {
    env,
    signal,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

export interface RunningAdsum {
  readonly grpc: string;
  readonly admin: string;
  get(path: string): Promise<{ status: number; body: unknown }>;
  stop(): Promise<number>;
}

/** Starts `adsum serve` on free loopback ports and waits until it is ready. Ended with the test. */
export async function serveAdsum(
  mesh: string,
  options: { dataDir?: string; args?: readonly string[]; env?: Record<string, string>; adminHost?: string } = {},
): Promise<RunningAdsum> {
  const stopping = new AbortController();
  const [grpc, admin] = [await freePort(), await freePort()];
  let failure = '';
  const ended = runCli(
    [
      '--log-level=silent',
      'serve',
      ...['--mesh', mesh, '--grpc', `127.0.0.1:${grpc}`, '--admin', `${options.adminHost ?? '127.0.0.1'}:${admin}`, '--dns', 'off'],
      ...['--data-dir', options.dataDir ?? temporaryFolder(), ...(options.args ?? [])],
    ],
    {
      env: options.env ?? {},
      signal: stopping.signal,
      out: () => {},
      err: (text) => {
        failure += text;
      },
    },
  );
  const stop = () => {
    stopping.abort();
    return ended;
  };
  onTestFinished(async () => void (await stop()));
  const url = `http://127.0.0.1:${admin}`;
  const get = async (where: string) => {
    const response = await fetch(`${url}${where}`);
    return { status: response.status, body: (await response.json()) as unknown };
  };
  let over = false;
  void ended.then(() => {
    over = true;
  });
  await until(async () => {
    if (over) throw new Error(`adsum serve ended: ${failure}`);
    return (await get('/readyz').catch(() => undefined))?.status === 200;
  });
  return { grpc: `127.0.0.1:${grpc}`, admin: url, get, stop };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Below what the kernel gives to clients and to listeners on port 0, so that none of these takes the port before it is used. */
const FIRST_PORT = 22_000;
const LAST_PORT = 32_000;

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (!handedOut.has(port) && (await isFree(port))) {
      handedOut.add(port);
      return port;
    }
  }
}

const handedOut = new Set<number>();

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Polls until `condition` holds; generous, because machines are shared. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 120_000): Promise<void> {
  for (const end = Date.now() + deadlineMs; !(await condition()); ) {
    if (Date.now() > end) throw new Error('the condition did not come true in time');
    await new Promise((again) => setTimeout(again, 10));
  }
}
