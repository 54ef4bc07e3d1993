import { homedir } from 'node:os';
import path from 'node:path';
import type { CliIo } from './cli-io.ts';

/** Where systemd units and distributions keep state; users without root have their own place. Source: XDG base directories. */
export function defaultDataDir(env: CliIo['env']): string {
  if (process.getuid?.() === 0) return '/var/lib/adsum';
  return path.join(env.XDG_STATE_HOME || path.join(homedir(), '.local/state'), 'adsum');
}
