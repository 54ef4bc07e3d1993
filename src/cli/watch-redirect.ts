import { setTimeout as delay } from 'node:timers/promises';
import type { AdminBind } from '../envoy/bootstrap.ts';
import { OUTBOUND_LISTENER } from '../envoy/names.ts';
import { whyNotRedirected } from '../redirect/redirect-proof.ts';
import { askEnvoy } from './ask-envoy.ts';

export interface RedirectWatch {
  /** Envoy's own admin interface. */
  readonly admin: AdminBind;
  /** Text for people. */
  readonly err: (text: string) => void;
  /** Aborted when Envoy has ended. */
  readonly signal: AbortSignal;
  readonly whyNot?: () => Promise<string | undefined>;
  /** Between two looks; default 5 s. */
  readonly intervalMs?: number;
}

/**
 * Looks again and again whether the connections of this host reach its sidecar, and tells every change for the worse or the better. Only
 * a transparent proxy needs that: one that has the outbound listener.
 */
export async function watchRedirect({ admin, err, signal, whyNot = whyNotRedirected, intervalMs = 5_000 }: RedirectWatch): Promise<void> {
  let told = false;
  while (!signal.aborted) {
    const obstacle = (await isTransparent(admin, signal)) ? await whyNot().catch(String) : undefined;
    if (signal.aborted) return;
    if (obstacle !== undefined && !told) {
      err(`adsum: warning: NOT REDIRECTED: connections of this host go past its sidecar, in and out: ${obstacle}; run adsum redirect-traffic\n`);
    } else if (obstacle === undefined && told) err('adsum: connections of this host go through its sidecar again\n');
    told = obstacle !== undefined;
    await delay(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** Envoy that does not answer is starting, or ending: nothing is said of it. */
async function isTransparent(admin: AdminBind, signal: AbortSignal): Promise<boolean> {
  try {
    // a line per listener: NAME::ADDRESS
    return (await askEnvoy(admin, 'GET', '/listeners', signal)).split('\n').some((line) => line.startsWith(`${OUTBOUND_LISTENER}:`));
  } catch {
    return false;
  }
}
