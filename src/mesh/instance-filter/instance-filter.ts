import type { Instance } from '../instance.ts';
import { type FilterComparison, type FilterExpression, type FilterOperator, FilterSyntaxError, parseFilterExpression } from './filter-expression.ts';
import { FILTER_FIELDS, type FilterField, filterField } from './filter-fields.ts';

export type InstancePredicate = (instance: Instance) => boolean;

/** A filter made ready for use. With an `error` it matches no instance: a subset must not grow because of a typing mistake. */
export interface InstanceFilter {
  readonly matches: InstancePredicate;
  readonly error?: string;
}

/** Parses a subset's filter once. An empty one matches every instance. */
export function parseInstanceFilter(text: string): InstanceFilter {
  if (text.trim() === '') return { matches: () => true };
  try {
    return { matches: predicateOf(parseFilterExpression(text)) };
  } catch (error) {
    if (error instanceof FilterSyntaxError) return { matches: () => false, error: error.message };
    throw error;
  }
}

function predicateOf(expression: FilterExpression): InstancePredicate {
  switch (expression.type) {
    case 'and': {
      const [left, right] = [predicateOf(expression.left), predicateOf(expression.right)];
      return (instance) => left(instance) && right(instance);
    }
    case 'or': {
      const [left, right] = [predicateOf(expression.left), predicateOf(expression.right)];
      return (instance) => left(instance) || right(instance);
    }
    case 'not': {
      const operand = predicateOf(expression.operand);
      return (instance) => !operand(instance);
    }
    case 'compare':
      return comparison(expression);
  }
}

function comparison({ selector, operator, value }: FilterComparison): InstancePredicate {
  const found = filterField(selector);
  const path = selector.join('.');
  if (!found) throw new FilterSyntaxError(`there is no field ${path}; the fields are ${FILTER_FIELDS.join(', ')}`);
  const { field, key } = found;
  const type = key === undefined ? field.type : 'text';
  if (!OPERATORS_OF[type].includes(operator)) throw new FilterSyntaxError(`${path} cannot be used with "${operator}"`);

  const negative = NEGATION_OF[operator];
  const test = negative ? not(positiveTest(type, negative, value)) : positiveTest(type, operator, value);
  if (key === undefined) return (instance) => test(field.get(instance));
  const whenAbsent = resultForAbsentKey(operator);
  return (instance) => {
    const map = field.get(instance) as Readonly<Record<string, string>>;
    return Object.hasOwn(map, key) ? test(map[key] ?? '') : whenAbsent;
  };
}

type FieldValue = ReturnType<FilterField['get']>;

const OPERATORS_OF: Readonly<Record<FilterField['type'], readonly FilterOperator[]>> = {
  text: ['==', '!=', 'in', 'not in', 'matches', 'not matches'],
  number: ['==', '!='],
  flag: ['==', '!='],
  list: ['in', 'not in', 'is empty', 'is not empty'],
  map: ['in', 'not in', 'is empty', 'is not empty'],
};

const NEGATION_OF: Readonly<Partial<Record<FilterOperator, FilterOperator>>> = {
  '!=': '==',
  'not in': 'in',
  'not matches': 'matches',
  'is not empty': 'is empty',
};

/** Consul's rule for a key that a map lacks. That `matches` then holds is odd, but subsets in the field are written against it. */
function resultForAbsentKey(operator: FilterOperator): boolean {
  return operator !== '==' && operator !== 'in' && operator !== 'is not empty';
}

function not(test: (value: FieldValue) => boolean): (value: FieldValue) => boolean {
  return (value) => !test(value);
}

function positiveTest(type: FilterField['type'], operator: FilterOperator, value: string): (actual: FieldValue) => boolean {
  if (operator === 'matches') {
    const pattern = regularExpression(value);
    return (actual) => pattern.test(String(actual));
  }
  if (operator === 'is empty') return (actual) => (Array.isArray(actual) ? actual.length : Object.keys(actual).length) === 0;
  if (operator === 'in') return contains(type, value);
  const expected = literal(type, value);
  return (actual) => actual === expected;
}

/** In a list: an element; in a map: a key; in a text: a part of it. */
function contains(type: FilterField['type'], value: string): (actual: FieldValue) => boolean {
  if (type === 'map') return (actual) => Object.hasOwn(actual as object, value);
  return (actual) => (actual as string | readonly string[]).includes(value);
}

function literal(type: FilterField['type'], value: string): string | number | boolean {
  if (type === 'text') return value;
  if (type === 'flag') {
    if (!/^(?:1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(value)) throw new FilterSyntaxError(`${value} is neither true nor false`);
    return /^[1tT]/.test(value);
  }
  if (!/^-?\d+$/.test(value)) throw new FilterSyntaxError(`${value} is not a whole number`);
  return Number(value);
}

/** Consul's expressions are RE2's. Of what JavaScript writes differently, only the leading flag for case is in common use. */
function regularExpression(source: string): RegExp {
  const [, flags = '', pattern = ''] = /^(?:\(\?([is]+)\))?(.*)$/s.exec(source) ?? [];
  try {
    return new RegExp(pattern, flags);
  } catch {
    throw new FilterSyntaxError(`${JSON.stringify(source)} is not a regular expression`);
  }
}
