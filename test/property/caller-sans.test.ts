import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyNameExcept } from '../../src/envoy/caller-sans.ts';
import { fullMatch } from './rbac-evaluator.ts';

/** Few characters, so that names share prefixes; among them the ones with a meaning in a regex or a character class. */
const character = fc.constantFrom('a', 'b', '-', '.', '_', '1', '^', ']', '\\');
const name = fc.string({ unit: character, minLength: 1, maxLength: 6 });
const segment = fc.string({ unit: fc.oneof(character, fc.constantFrom('c', '/', '$')), maxLength: 7 });

describe('a regex for every name but some', () => {
  test('matches exactly the non-empty segments that are none of them', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 8 }), fc.array(segment, { maxLength: 20 }), (names, segments) => {
        const regex = anyNameExcept(names);
        // The names themselves, what is one character short of them or longer, and anything.
        const tried = [...segments, ...names, ...names.map((denied) => denied.slice(0, -1)), ...names.map((denied) => `${denied}a`)];
        for (const text of tried) expect(fullMatch(regex, text), `${regex} on '${text}'`).toBe(text !== '' && !text.includes('/') && !names.includes(text));
      }),
      { numRuns: 300 },
    );
  });

  test('stays within RE2: no look-around, no back-reference', () => {
    fc.assert(fc.property(fc.uniqueArray(name, { maxLength: 8 }), (names) => !/\(\?[=!<]|\\[0-9]/.test(anyNameExcept(names))));
  });

  test('grows with the length of the names, not faster', () => {
    const names = Array.from({ length: 300 }, (_, i) => `service-number-${(i * 7919) % 1000}`);
    expect(anyNameExcept(names).length).toBeLessThan(40 * names.join('').length);
  });
});
