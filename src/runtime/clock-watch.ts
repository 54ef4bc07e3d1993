import type { Clock } from './clock.ts';

const LOOK_MS = 5_000;
/** What NTP corrects bit by bit stays far below; certificates begin a minute early and so bear more. */
const SMALLEST_JUMP_MS = 10_000;

/**
 * Notices when the time of day was set, or the machine slept: it then goes on otherwise than the time that passes.
 * @param onJump with the milliseconds that it went ahead, negative when it went back
 * @returns stops watching
 */
export function watchClock(clock: Clock, onJump: (byMs: number) => void): () => void {
  let cancel = () => {};
  const look = (difference: number) => {
    cancel = clock.after(LOOK_MS, () => {
      const now = clock.now() - clock.monotonic();
      look(now);
      if (Math.abs(now - difference) >= SMALLEST_JUMP_MS) onJump(now - difference);
    });
  };
  look(clock.now() - clock.monotonic());
  return () => cancel();
}
