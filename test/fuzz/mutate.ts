import fc from 'fast-check';

/** What readers trip over: nothing, too much, other types, names with a meaning, addresses, patterns. */
const HOSTILE: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  70_000,
  1e21,
  0.5,
  '',
  ' ',
  '*',
  'web',
  'API',
  'a b',
  '__proto__',
  'constructor',
  'x'.repeat(300),
  '\u0000',
  '\ud800',
  '../../etc/passwd',
  '240.0.0.1',
  '0.0.0.0',
  '127.0.0.1',
  '::ffff:240.0.0.1',
  'fd00::1',
  '10s',
  '-1ns',
  '9999999999h',
  '(',
  '(a+)+$',
  'Service.Meta.v == 1',
  'not ((',
  'tcp',
  'HTTP',
  'allow',
  'deny',
  [],
  {},
  [null],
  [[]],
  { __proto__: null },
  { a: { b: { c: {} } } },
];
const KEYS = ['name', 'Name', 'kind', 'service', 'sources', 'proxy', 'config', 'protocol', 'destination_name', '__proto__', 'constructor', 'toString', '', 'x'];

interface Mutation {
  readonly how: 'replace' | 'remove' | 'repeat' | 'rename' | 'copy';
  readonly at: number;
  readonly from: number;
  readonly by: unknown;
  readonly key: string;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  how: fc.constantFrom('replace', 'replace', 'remove', 'repeat', 'rename', 'copy'),
  at: fc.nat(),
  from: fc.nat(),
  by: fc.constantFrom(...HOSTILE),
  key: fc.constantFrom(...KEYS),
});

/** One of the values, changed in a few places: pieces replaced, taken away, repeated, renamed, or put where others belong. */
export function mutated(values: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc.tuple(fc.constantFrom(...values), fc.array(mutation, { minLength: 1, maxLength: 4 })).map(([value, all]) => all.reduce(mutate, value));
}

type Path = readonly (string | number)[];

function mutate(value: unknown, { how, at, from, by, key }: Mutation): unknown {
  const paths = pathsOf(value, []);
  const path = paths[at % paths.length] ?? [];
  switch (how) {
    case 'replace':
      return change(value, path, () => by);
    case 'copy':
      return change(value, path, () => read(value, paths[from % paths.length] ?? []));
    case 'remove':
      return change(value, path, () => REMOVED);
    case 'repeat':
      return change(value, path, (item) => (Array.isArray(item) ? [...item, ...item] : [item, item]));
    case 'rename':
      return change(value, path.slice(0, -1), (item) => renamed(item, String(path.at(-1) ?? ''), key));
  }
}

const REMOVED = Symbol('removed');

function pathsOf(value: unknown, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, Array.isArray(value) ? Number(key) : key]))];
}

function read(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string | number, unknown>)[key], value);
}

function change(value: unknown, [head, ...rest]: Path, by: (value: unknown) => unknown): unknown {
  if (head === undefined) {
    const changed = by(value);
    return changed === REMOVED ? undefined : changed;
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => {
      if (index !== head) return [item];
      const changed = rest.length === 0 ? by(item) : change(item, rest, by);
      return changed === REMOVED ? [] : [changed];
    });
  }
  if (typeof value !== 'object' || value === null) return value;
  return fromEntries(
    Object.entries(value).flatMap(([key, item]) => {
      if (key !== head) return [[key, item] as const];
      const changed = rest.length === 0 ? by(item) : change(item, rest, by);
      return changed === REMOVED ? [] : [[key, changed] as const];
    }),
  );
}

function renamed(value: unknown, from: string, to: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return fromEntries(Object.entries(value).map(([key, item]) => [key === from ? to : key, item] as const));
}

/** `__proto__` becomes a key like any other, as in parsed JSON. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): unknown {
  const object = {};
  for (const [key, value] of entries) Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  return object;
}
