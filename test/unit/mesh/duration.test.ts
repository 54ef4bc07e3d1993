import { expect, test } from 'vitest';
import { parseDurationMs } from '../../../src/mesh/schema/duration.ts';

test.each([
  ['10s', 10_000],
  ['1m30s', 90_000],
  ['2500ms', 2500],
  ['1.5h', 5_400_000],
  ['-1s', -1000],
  ['0', 0],
  ['.5s', 500],
  ['7us', 0.007],
  [5_000_000_000, 5000],
  [-1, -1e-6],
  ['10', undefined],
  ['10 s', undefined],
  ['', undefined],
  ['s', undefined],
  ['1d', undefined],
  [null, undefined],
  [Number.NaN, undefined],
])('%j is %j milliseconds', (written, ms) => {
  expect(parseDurationMs(written)).toBe(ms);
});
