type Version = readonly [number, number, number];

/** Whether a version meets all of a list such as `>= 1.36.0, < 2`. Operators: = != > >= < <= ~>. Undefined: the text is no such list. */
export function meetsConstraint(version: Version, text: string): boolean | undefined {
  const results = text.split(',').map((part) => meetsOne(version, part));
  return results.includes(undefined) ? undefined : !results.includes(false);
}

function meetsOne(version: Version, part: string): boolean | undefined {
  const [, operator = '=', numbers] = /^\s*(=|!=|>=?|<=?|~>)?\s*v?(\d+(?:\.\d+){0,2})\s*$/.exec(part) ?? [];
  if (numbers === undefined) return undefined;
  const wanted = numbers.split('.').map(Number);
  const order = compare(version, wanted);
  switch (operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    default:
      // At least this, and the same in all numbers but the last one written.
      return order >= 0 && wanted.slice(0, -1).every((number, index) => version[index] === number);
  }
}

function compare(version: Version, wanted: readonly number[]): number {
  for (const [index, number] of version.entries()) {
    const difference = number - (wanted[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
