import { parseDurationMs } from '../mesh/schema/duration.ts';
import { UsageError } from './cli-error.ts';

/** `720h`, `30m`, in milliseconds. @throws UsageError */
export function parseTtl(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1) throw new UsageError(`--ttl '${text}' is no duration`, { hint: 'for example 720h, or 30m' });
  return Math.floor(ms);
}
