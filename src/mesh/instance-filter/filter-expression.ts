/**
 * The filter language of Consul (HashiCorp's bexpr, as Consul 1.22 embeds it): comparisons of a field with a value, joined by
 * `and`, `or`, `not` and parentheses. `and` binds tighter than `or`.
 */
export type FilterExpression =
  | { readonly type: 'and' | 'or'; readonly left: FilterExpression; readonly right: FilterExpression }
  | { readonly type: 'not'; readonly operand: FilterExpression }
  | FilterComparison;

export type FilterOperator = '==' | '!=' | 'in' | 'not in' | 'matches' | 'not matches' | 'is empty' | 'is not empty';

export interface FilterComparison {
  readonly type: 'compare';
  /** `Service.Meta.version` or `Service.Meta["version"]`, split at the dots and brackets. */
  readonly selector: readonly string[];
  readonly operator: FilterOperator;
  /** As written, without quotes; numbers too. Empty for `is empty`. */
  readonly value: string;
}

/** What is wrong with the text, and at which offset. */
export class FilterSyntaxError extends Error {}

/** Nesting a person writes stays far below this; a bound keeps a hostile expression from exhausting the stack. */
const MAX_DEPTH = 200;

const OPERATORS: readonly (readonly [RegExp, FilterOperator])[] = [
  [/\s*==\s*/y, '=='],
  [/\s*!=\s*/y, '!='],
  [/\s+contains\s+/y, 'in'],
  [/\s+not\s+contains\s+/y, 'not in'],
  [/\s+matches\s+/y, 'matches'],
  [/\s+not\s+matches\s+/y, 'not matches'],
];
const UNARY_OPERATORS: readonly (readonly [RegExp, FilterOperator])[] = [
  [/\s+is\s+empty(?![A-Za-z0-9_])/y, 'is empty'],
  [/\s+is\s+not\s+empty(?![A-Za-z0-9_])/y, 'is not empty'],
];
const MEMBERSHIP_OPERATORS: readonly (readonly [RegExp, FilterOperator])[] = [
  [/\s+in\s+/y, 'in'],
  [/\s+not\s+in\s+/y, 'not in'],
];

/** Parses the whole text; throws `FilterSyntaxError`. */
export function parseFilterExpression(text: string): FilterExpression {
  let position = 0;
  let depth = 0;

  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = position;
    const [match] = pattern.exec(text) ?? [];
    if (match !== undefined) position += match.length;
    return match;
  }

  /** Tries one way to read on; goes back to where it started when that way does not fit. */
  function attempt<T>(read: () => T | undefined): T | undefined {
    const start = position;
    const result = read();
    if (result === undefined) position = start;
    return result;
  }

  function fail(expected: string): never {
    throw new FilterSyntaxError(`expected ${expected} at ${JSON.stringify(text.slice(position, position + 20))} (offset ${position})`);
  }

  function or(): FilterExpression {
    if (++depth > MAX_DEPTH) throw new FilterSyntaxError('the expression is nested too deeply');
    const left = and();
    const more = take(/\s+or\s+/y) !== undefined;
    const result: FilterExpression = more ? { type: 'or', left, right: or() } : left;
    depth--;
    return result;
  }

  function and(): FilterExpression {
    const operands = [not()];
    while (take(/\s+and\s+/y) !== undefined) operands.push(not());
    return operands.reduceRight((right, left) => ({ type: 'and', left, right }));
  }

  function not(): FilterExpression {
    let negated = false;
    while (take(/not\s+/y) !== undefined) negated = !negated;
    const operand = group();
    return negated ? { type: 'not', operand } : operand;
  }

  function group(): FilterExpression {
    if (take(/\(\s*/y) === undefined) return comparison();
    const inner = or();
    if (take(/\s*\)/y) === undefined) fail('")"');
    return inner;
  }

  function comparison(): FilterExpression {
    return attempt(selectorFirst) ?? attempt(valueFirst) ?? fail('a comparison such as Service.Meta.version == v1');
  }

  function selectorFirst(): FilterComparison | undefined {
    const selector = readSelector();
    if (!selector) return undefined;
    const unary = operatorOf(UNARY_OPERATORS);
    if (unary) return { type: 'compare', selector, operator: unary, value: '' };
    const operator = operatorOf(OPERATORS);
    const value = operator && readValue();
    return operator && value !== undefined ? { type: 'compare', selector, operator, value } : undefined;
  }

  function valueFirst(): FilterComparison | undefined {
    const value = readValue();
    const operator = value === undefined ? undefined : operatorOf(MEMBERSHIP_OPERATORS);
    const selector = operator && readSelector();
    return value !== undefined && operator && selector ? { type: 'compare', selector, operator, value } : undefined;
  }

  function operatorOf(candidates: readonly (readonly [RegExp, FilterOperator])[]): FilterOperator | undefined {
    return candidates.find(([pattern]) => take(pattern) !== undefined)?.[1];
  }

  function readSelector(): string[] | undefined {
    const first = take(/[A-Za-z]\w*/y);
    if (first === undefined) return undefined;
    const parts = [first];
    for (;;) {
      const part = take(/\.[A-Za-z]\w*/y)?.slice(1) ?? attempt(readIndex);
      if (part === undefined) return parts;
      parts.push(part);
    }
  }

  function readIndex(): string | undefined {
    if (take(/\[\s*/y) === undefined) return undefined;
    const key = readString();
    return take(/\s*\]/y) === undefined ? undefined : key;
  }

  /** A bare word is read as a selector is, so `a.b` is a value too; a version such as `1.2.3` needs quotes. */
  function readValue(): string | undefined {
    return readSelector()?.join('.') ?? take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?=[\s)]|$)/y) ?? readString();
  }

  function readString(): string | undefined {
    const raw = take(/`[^`]*`/y);
    if (raw !== undefined) return raw.slice(1, -1);
    const quoted = take(/"[^"]*"/y);
    return quoted === undefined ? undefined : unquote(quoted);
  }

  take(/\s+/y);
  const expression = or();
  take(/\s+/y);
  if (position < text.length) fail('"and", "or" or the end');
  return expression;
}

/** A double-quoted string may hold backslash escapes; those that JSON does not know are an error. */
function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted.replaceAll('\t', '\\t').replaceAll('\n', '\\n')) as string;
  } catch {
    throw new FilterSyntaxError(`${quoted} has an unknown escape; a string between backquotes is taken as it is`);
  }
}
