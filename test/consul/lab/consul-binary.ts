import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { findOnPath } from '../../../scripts/envoy-binary.mjs';
import { adsumProgram } from '../../envoy/lab/envoy-binary.ts';

/** CONSUL_BIN, `consul` on the PATH, or the one that tools keep in the cache folder. */
export function findConsul(): string | undefined {
  const cached = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'adsum-tools', 'consul-1.22.7');
  return [process.env.CONSUL_BIN, findOnPath('consul'), cached].find((file) => file !== undefined && file !== '' && existsSync(file));
}

/** What keeps the tests with a real Consul from running here, or undefined. */
export function whyNoConsul(): string | undefined {
  if (!findConsul()) return 'no consul found: name one in CONSUL_BIN';
  return existsSync(adsumProgram) ? undefined : 'dist/main.js is not built';
}
