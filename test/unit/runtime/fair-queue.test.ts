import { expect, test } from 'vitest';
import { FairQueue } from '../../../src/runtime/fair-queue.ts';

/** A queue whose slices run when the test says so; each item takes `itemMs`. */
function queueOf(itemMs: number) {
  const slices: (() => void)[] = [];
  const done: string[] = [];
  let now = 0;
  let drained = 0;
  const queue = new FairQueue<string>({
    work: (item) => {
      done.push(item);
      now += itemMs;
      if (item === 'bad') throw new Error('bad item');
    },
    drained: () => drained++,
    now: () => now,
    schedule: (slice) => void slices.push(slice),
  });
  const runSlice = () => slices.shift()?.();
  return { queue, done, slices, runSlice, drained: () => drained };
}

test('a slice ends when its time is over, and the next one goes on where it stopped', () => {
  const { queue, done, slices, runSlice, drained } = queueOf(1.5);
  for (const item of ['a', 'b', 'c', 'd', 'e']) queue.add(item);
  expect(slices).toHaveLength(1);
  runSlice();
  expect(done).toEqual(['a', 'b', 'c']);
  expect(drained()).toBe(0);
  runSlice();
  expect(done).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(drained()).toBe(1);
  expect(slices).toHaveLength(0);
});

test('an item that takes longer than a slice does not stop the queue', () => {
  const { queue, done, runSlice } = queueOf(1000);
  queue.add('a');
  queue.add('b');
  runSlice();
  expect(done).toEqual(['a']);
  runSlice();
  expect(done).toEqual(['a', 'b']);
});

test('an item added twice is done once, at its first place; one removed is not done', () => {
  const { queue, done, runSlice } = queueOf(0);
  for (const item of ['a', 'b', 'a', 'c']) queue.add(item);
  queue.remove('b');
  runSlice();
  expect(done).toEqual(['a', 'c']);
});

test('an item whose work throws does not keep the others from being done', () => {
  const { queue, done, runSlice } = queueOf(0);
  for (const item of ['a', 'bad', 'c']) queue.add(item);
  expect(runSlice).toThrow('bad item');
  runSlice();
  expect(done).toEqual(['a', 'bad', 'c']);
});

test('timers and sockets get their turn while a long queue is worked off', async () => {
  let ticks = 0;
  let done = 0;
  let clock = 0;
  const tick = () => {
    if (done === 1000) return;
    ticks++;
    setImmediate(tick);
  };
  const finished = new Promise<void>((resolve) => {
    const queue = new FairQueue<number>({ work: () => void done++, drained: resolve, now: () => clock++ });
    for (let item = 0; item < 1000; item++) queue.add(item);
  });
  tick();
  await finished;
  // each item takes one of the four milliseconds of a slice, so between 1,000 items the others get about 250 turns
  expect(ticks).toBeGreaterThan(200);
});
