import { expect, test } from 'vitest';
import { placed } from '../../../src/mesh/problem.ts';
import { sameValue } from '../../../src/query/same-value.ts';

test.each([
  [1, 1, true],
  [1, '1', false],
  [undefined, null, false],
  [Number.NaN, Number.NaN, true],
  [[1, [2]], [1, [2]], true],
  [[1, 2], [2, 1], false],
  [[1], { 0: 1 }, false],
  [{ a: 1, b: { c: 2 } }, { b: { c: 2 }, a: 1 }, true],
  [{ a: undefined }, {}, false],
  [{ a: 1, place: 'red' }, { a: 1, place: 'blue' }, false],
  [placed({ a: 1 }, { line: 1 }), placed({ a: 1 }, { line: 9 }), true],
  [placed({ a: 1 }, { line: 1 }), placed({ a: 2 }, { line: 1 }), false],
  [new Set(['a', 'b']), new Set(['a', 'b']), true],
  [new Set(['a', 'b']), new Set(['b', 'a']), false],
  [
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
    new Map([
      ['b', 2],
      ['a', 1],
    ]),
    false,
  ],
  [new Set(['a']), new Set(['b']), false],
  [new Map([['a', { x: 1 }]]), new Map([['a', { x: 1 }]]), true],
  [new Map([['a', 1]]), new Map([['a', 2]]), false],
  [new Map(), {}, false],
])('%o and %o: %s', (one, other, expected) => {
  expect(sameValue(one, other)).toBe(expected);
  expect(sameValue(other, one)).toBe(expected);
});
