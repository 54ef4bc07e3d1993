import type { Authority } from '../ca/authority.ts';
import type { LeafStore } from '../ca/leaf-store.ts';
import type { Clock } from '../runtime/clock.ts';
import { watchClock } from '../runtime/clock-watch.ts';
import type { StandingProblems } from './standing-problems.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * When the time of day is set, every leaf is looked at again, and for an hour a problem says so: until then others may still hold
 * what was made by the wrong time.
 * @returns stops
 */
export function followClock(options: {
  readonly clock: Clock;
  readonly authority: Pick<Authority, 'status'>;
  readonly leaves: Pick<LeafStore, 'clockJumped'>;
  readonly problems: StandingProblems;
}): () => void {
  const { clock, authority, leaves, problems } = options;
  let cancelEnd = () => {};
  const raise = (message: string) => {
    problems.raise({ code: 'clock-jumped', severity: 'warning', message, hint: 'see that the clocks of all machines of the mesh agree' });
    cancelEnd();
    cancelEnd = clock.after(HOUR_MS, () => problems.clear('clock-jumped'));
  };
  const signing = authority.status().find(({ phase }) => phase === 'signing');
  if (signing && signing.notBefore > clock.now()) {
    raise(`the clock of this machine is ${inWords(signing.notBefore - clock.now())} behind the certificate of the CA, which begins ${iso(signing.notBefore)}`);
  }
  const stop = watchClock(clock, (byMs) => {
    raise(
      byMs < 0
        ? `the clock of this machine was set back by ${inWords(-byMs)}, to ${iso(clock.now())}`
        : `the clock of this machine was set ahead by ${inWords(byMs)}, to ${iso(clock.now())}, or the machine slept`,
    );
    leaves.clockJumped();
  });
  return () => {
    stop();
    cancelEnd();
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function inWords(ms: number): string {
  if (ms >= DAY_MS) return `${(ms / DAY_MS).toFixed(1)} days`;
  return ms >= HOUR_MS ? `${(ms / HOUR_MS).toFixed(1)} h` : `${Math.round(ms / 1000)} s`;
}
