import { setTimeout as pause } from 'node:timers/promises';
import type { AdminBind } from '../envoy/bootstrap.ts';
import { askEnvoy } from './ask-envoy.ts';

const LOOK_EVERY_MS = 100;
/** So many looks in a row must find Envoy quiet: a request may be on its way between two of them. */
const QUIET_LOOKS = 3;

export interface DrainOptions {
  readonly admin: AdminBind;
  /** Ends the wait, whatever is still in flight. */
  readonly signal: AbortSignal;
}

/**
 * Lets an Envoy finish: callers can open no new connection, open ones end with their next response, and the promise resolves when no
 * request is in flight and no TCP connection has moved a byte lately, or when the signal says so. Applications of the host still get
 * out, since a request in flight may need that. Never rejects: an Envoy that does not answer has nothing to wait for.
 */
export async function drainEnvoy({ admin, signal }: DrainOptions): Promise<void> {
  try {
    // From now on each response ends its connection.
    await askEnvoy(admin, 'POST', '/healthcheck/fail', signal);
    await askEnvoy(admin, 'POST', '/drain_listeners?inboundonly', signal);
    let before: Activity | undefined;
    for (let quiet = 0; quiet < QUIET_LOOKS; ) {
      const now = readActivity(await askEnvoy(admin, 'GET', ACTIVITY, signal));
      quiet = now.requests === 0 && now.bytes === before?.bytes ? quiet + 1 : 0;
      before = now;
      await pause(LOOK_EVERY_MS, undefined, { signal });
    }
  } catch {
    // It is gone, or time is up.
  }
}

/** Requests that are being answered, of everything but the admin interface; bytes that TCP proxies took in. */
const ACTIVITY = `/stats?filter=${encodeURIComponent('downstream_(rq_active|cx_(rx|tx)_bytes_total)$')}`;

interface Activity {
  readonly requests: number;
  readonly bytes: number;
}

function readActivity(stats: string): Activity {
  let requests = 0;
  let bytes = 0;
  for (const [, name = '', value] of stats.matchAll(/^(.*): (\d+)$/gm)) {
    if (name.endsWith('_active')) requests += name.startsWith('http.admin.') ? 0 : Number(value);
    else if (name.startsWith('tcp.')) bytes += Number(value);
  }
  return { requests, bytes };
}
