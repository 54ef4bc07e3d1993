import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable, printableLine, safeFields, shortened } from '../../../src/runtime/foreign-text.ts';

const ESC = '\u001b';
const CSI = '\u009b';

/** What a terminal may obey instead of showing it. */
const obeyed = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

test('colours, cursor movements, titles, C1 controls and turned reading orders are shown and not obeyed', () => {
  expect(printable(`${ESC}[31mred`)).toBe(String.raw`\u001b[31mred`);
  expect(printable(`a\rb${CSI}2Jc\u007f`)).toBe(String.raw`a\u000db\u009b2Jc\u007f`);
  expect(printable('user\u202Etxt.exe')).toBe(String.raw`user\u202etxt.exe`);
  expect(printable('Zürich 東京 👍\n\ttab')).toBe('Zürich 東京 👍\n\ttab');
  expect(printableLine('one\ntwo')).toBe(String.raw`one\ntwo`);
});

test('JSON stays the same JSON', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(JSON.stringify({ text }));
      expect(obeyed.test(shown)).toBe(false);
      expect(JSON.parse(shown)).toEqual({ text });
    }),
  );
});

test('nothing obeyed is left of any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(obeyed.test(printable(text))).toBe(false);
    }),
  );
});

test('what is logged is short, however deep it stands', () => {
  const long = 'x'.repeat(1_000_000);
  const fields = safeFields({ reason: long, error: `Error: ${long}`, deep: { [long]: [long, ...Array.from({ length: 5000 }, () => long)] }, count: 3 });
  expect(JSON.stringify(fields).length).toBeLessThan(150_000);
  expect(fields).toMatchObject({ reason: `${'x'.repeat(1024)}… (1000000 characters)`, count: 3 });
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  expect(JSON.stringify(safeFields(cyclic)).length).toBeLessThan(200);
  expect(shortened('short')).toBe('short');
});
