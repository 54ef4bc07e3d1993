import type { Authority } from '../ca/authority.ts';
import type { Clock } from '../runtime/clock.ts';
import type { StreamStatus } from '../server/stream-status.ts';

const LOOK_MS = 200;
/** Envoy acknowledges a secret a moment before its workers use it. */
const GRACE_MS = 1_000;

/**
 * Tells the CA when every connected proxy has acknowledged the roots it was last given, so that a new root need not wait longer
 * before it signs. A proxy that does not answer is waited for as long as the CA waits (`propagationMs`).
 */
export function reportDeliveredRoots(options: {
  readonly ca: Authority;
  readonly clock: Clock;
  /** Whether every snapshot that follows from the newest roots has been handed to its streams. */
  readonly idle: () => boolean;
  readonly streams: () => readonly StreamStatus[];
}): () => void {
  const { ca, clock, idle, streams } = options;
  let cancel = () => {};
  const look = (bundle: readonly string[]) => {
    const delivered = idle() && streams().every(hasAnsweredSecrets);
    cancel = delivered ? clock.after(GRACE_MS, () => ca.markRootsDelivered(bundle)) : clock.after(LOOK_MS, () => look(bundle));
  };
  const stopListening = ca.onChange((change) => {
    cancel();
    if (change === 'roots' && ca.status().some(({ phase }) => phase === 'staged')) look(ca.roots());
  });
  return () => {
    stopListening();
    cancel();
  };
}

function hasAnsweredSecrets({ types }: StreamStatus): boolean {
  return types.every(({ type, pending }) => type !== 'secret' || !pending);
}
