import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Input, QueryStore, query, type Watch } from '../../src/query/query-store.ts';

/** A formula over the inputs `0` to `4`: which ones count depends on their values, and many changes come to nothing. */
type Formula =
  | number
  | { readonly half: Formula }
  | { readonly sum: readonly Formula[] }
  | { readonly choose: Formula; readonly even: Formula; readonly odd: Formula };

const formula = fc.letrec<{ formula: Formula }>((tie) => ({
  formula: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.nat(4),
    fc.record({ half: tie('formula') }),
    fc.record({ sum: fc.array(tie('formula'), { maxLength: 3 }) }),
    fc.record({ choose: tie('formula'), even: tie('formula'), odd: tie('formula') }),
  ),
})).formula;

type Step = { readonly set: number; readonly to: number } | { readonly watch: number } | { readonly close: number } | { readonly look: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ set: fc.nat(4), to: fc.integer({ min: -2, max: 5 }) }),
  fc.record({ watch: fc.nat(5) }),
  fc.record({ close: fc.nat(5) }),
  fc.record({ look: fc.nat(5) }),
);

class Numbers {
  readonly store: QueryStore;
  readonly values = [1, 2, 3, 4, 5];

  constructor(hubSize?: number) {
    this.store = new QueryStore(hubSize === undefined ? {} : { hubSize });
  }

  readonly #input: Input<number> = { name: 'number', lookUp: (key) => this.values[Number(key)] ?? 0 };

  at(index: number): number {
    const value = this.store.read(this.#input, String(index));
    if (value < 0) throw new Error('negative');
    return value;
  }

  set(index: number, value: number): void {
    this.values[index] = value;
    this.store.update((changed) => changed(this.#input, [String(index)]));
  }
}

const evaluate = query('formula', (numbers: Numbers, given: Formula): number => {
  if (typeof given === 'number') return numbers.at(given);
  if ('half' in given) return Math.floor(evaluate(numbers, given.half) / 2);
  if ('sum' in given) return given.sum.reduce((sum: number, one) => sum + evaluate(numbers, one), 0);
  return evaluate(numbers, given.choose) % 2 === 0 ? evaluate(numbers, given.even) : evaluate(numbers, given.odd);
});

function outcomeOf(compute: () => number): number | string {
  try {
    return compute();
  } catch (error) {
    return String(error);
  }
}

test('remembered values are what working them out afresh gives; who watches hears of every change; nothing is kept for nobody', () => {
  fc.assert(
    fc.property(
      fc.array(formula, { minLength: 6, maxLength: 6 }),
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      (formulas, steps, hubSize) => {
        const numbers = new Numbers(hubSize);
        const watches = new Map<number, { watch: Watch<number>; seen: number | string; told: boolean }>();
        const afresh = (given: Formula) => {
          const other = new Numbers();
          other.values.splice(0, other.values.length, ...numbers.values);
          return outcomeOf(() => evaluate(other, given));
        };
        for (const one of steps) {
          if ('set' in one) {
            numbers.set(one.set, one.to);
            for (const [index, { seen, told }] of watches) if (afresh(formulas[index] ?? 0) !== seen) expect(told).toBe(true);
          } else if ('watch' in one && !watches.has(one.watch)) {
            const entry = {
              watch: numbers.store.watch(
                () => evaluate(numbers, formulas[one.watch] ?? 0),
                () => void Object.assign(entry, { told: true }),
              ),
              seen: Number.NaN as number | string,
              told: false,
            };
            entry.seen = outcomeOf(entry.watch.get);
            watches.set(one.watch, entry);
          } else if ('close' in one) {
            watches.get(one.close)?.watch.close();
            watches.delete(one.close);
          } else if ('look' in one) {
            expect(outcomeOf(() => evaluate(numbers, formulas[one.look] ?? 0))).toBe(afresh(formulas[one.look] ?? 0));
            const entry = watches.get(one.look);
            if (!entry) continue;
            entry.seen = outcomeOf(entry.watch.get);
            entry.told = false;
            expect(entry.seen).toBe(afresh(formulas[one.look] ?? 0));
          }
        }
        for (const { watch } of watches.values()) watch.close();
        expect(numbers.store.counts.kept).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
