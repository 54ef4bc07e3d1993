import { isIP } from 'node:net';
import { UsageError } from './cli-error.ts';

/** `127.0.0.1:18000`, `[::1]:18000`, `localhost:0`. @throws UsageError naming the flag */
export function parseHostPort(text: string, flag: string): { host: string; port: number } {
  const parts = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (!parts || port > 65_535) throw new UsageError(`${flag} '${text}' is not HOST:PORT`, { hint: 'for example 127.0.0.1:18000, or [::1]:18000' });
  return { host: parts[1] ?? (parts[2] || '0.0.0.0'), port };
}

/** Whether only this host can reach it. Names other than `localhost` may be anything. */
export function isLoopbackHost(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1' || host === 'localhost';
}
