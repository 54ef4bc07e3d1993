import { expect, it } from 'vitest';
import { type Input, QueryStore, query } from '../../../src/query/query-store.ts';

class Words {
  readonly store = new QueryStore();
  readonly words = new Map<string, string>();
  readonly runs: string[] = [];
  readonly #input: Input<string | undefined> = { name: 'word', lookUp: (key) => this.words.get(key) };

  word(key: string): string | undefined {
    return this.store.read(this.#input, key);
  }

  set(key: string, value: string): void {
    this.words.set(key, value);
    this.store.update((changed) => changed(this.#input, [key]));
  }
}

const lengthOf = query('length', (words: Words, key: string) => {
  words.runs.push(`length of ${key}`);
  return { length: words.word(key)?.length ?? 0 };
});

const total = query('total', (words: Words, keys: readonly string[]) => {
  words.runs.push('total');
  return keys.reduce((sum, key) => sum + lengthOf(words, key).length, 0);
});

it('works out again only what a change touches, and stops where the outcome is the same', () => {
  const words = new Words();
  words.set('a', 'one');
  let told = 0;
  const watch = words.store.watch(
    () => total(words, ['a', 'b']),
    () => (told += 1),
  );
  expect([watch.get(), words.runs.splice(0)]).toEqual([3, ['total', 'length of a', 'length of b']]);
  words.set('c', 'not read');
  expect([watch.get(), words.runs.splice(0), told]).toEqual([3, [], 0]);
  words.set('a', 'two');
  expect([watch.get(), words.runs.splice(0), told]).toEqual([3, ['length of a'], 1]);
  words.set('b', 'four');
  expect([watch.get(), words.runs.splice(0), told]).toEqual([7, ['length of b', 'total'], 2]);
});

it('keeps the identity of what comes out equal', () => {
  const words = new Words();
  words.set('a', 'one');
  const watch = words.store.watch(
    () => lengthOf(words, 'a'),
    () => {},
  );
  const before = watch.get();
  words.set('a', 'two');
  expect(watch.get()).toBe(before);
});

it('tells which inputs are behind a value', () => {
  const words = new Words();
  const watch = words.store.watch(
    () => [lengthOf(words, 'a'), lengthOf(words, 'b')],
    () => {},
  );
  const [, ofB] = watch.get();
  expect(watch.inputs()).toEqual([
    { name: 'word', args: ['a'] },
    { name: 'word', args: ['b'] },
  ]);
  expect(watch.inputs(ofB)).toEqual([{ name: 'word', args: ['b'] }]);
});

it('refuses a value that is derived from itself', () => {
  const circle: (words: Words, key: string) => number = query('circle', (words: Words, key: string): number => circle(words, key) + 1);
  expect(() => circle(new Words(), 'a')).toThrow('circle is derived from itself');
});
