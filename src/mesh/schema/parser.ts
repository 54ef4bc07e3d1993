import { z } from 'zod';
import type { FieldMeta } from './field.ts';
import { closestWord, foldKey } from './spelling.ts';

export type ValuePath = readonly (string | number)[];

/** A defect of a value, placed by its path in it. Keys are as the user wrote them, or, where absent, as they should be. */
export interface Defect {
  readonly code: string;
  readonly message: string;
  readonly path: ValuePath;
  readonly hint?: string;
}

export type Parsed<Value> = { readonly value: Value; readonly defects: readonly [] } | { readonly value?: undefined; readonly defects: readonly Defect[] };

/** Takes anything and gives a value of the schema's type, or every defect at once. */
export type Parser<Value> = (input: unknown) => Parsed<Value>;

/** What the walk over the input needs of a schema. */
type Layout =
  | { readonly is: 'object'; readonly fields: ReadonlyMap<string, Field>; readonly readOnly: ReadonlySet<string> }
  | { readonly is: 'list'; readonly of: Layout }
  | { readonly is: 'map'; readonly of: Layout }
  | { readonly is: 'leaf' };

interface Field {
  readonly key: string;
  readonly layout: Layout;
  /** `""` counts as absent, as everywhere in Consul. */
  readonly isText: boolean;
}

/**
 * A parser for a schema whose keys may be spelled in snake_case or CamelCase. Free maps keep the user's keys. `null` and, for
 * text, `""` count as absent.
 */
export function parserOf<Schema extends z.ZodType>(schema: Schema): Parser<z.output<Schema>> {
  const layout = layoutOf(schema);
  return (input) => {
    const defects: Defect[] = [];
    const respelled = respell(layout, input, [], defects);
    const result = schema.safeParse(respelled, { reportInput: true });
    if (!result.success) defects.push(...result.error.issues.map((issue) => defectOf(issue)));
    return result.success && defects.length === 0 ? { value: result.data, defects: [] } : { defects: defects.map(shortened) };
  };
}

function layoutOf(schema: z.core.$ZodType): Layout {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return layoutOf(schema.unwrap());
  if (schema instanceof z.ZodArray) return { is: 'list', of: layoutOf(schema.element) };
  if (schema instanceof z.ZodRecord) return { is: 'map', of: layoutOf(schema.valueType) };
  if (!(schema instanceof z.ZodObject)) return { is: 'leaf' };
  const fields = Object.entries(schema.shape as Record<string, z.core.$ZodType>).map(
    ([key, field]) => [foldKey(key), { key, layout: layoutOf(field), isText: isText(field) }] as const,
  );
  const { readOnly = [] } = (schema.meta() ?? {}) as FieldMeta;
  return { is: 'object', fields: new Map(fields), readOnly: new Set(readOnly.map(foldKey)) };
}

function isText(schema: z.core.$ZodType): boolean {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return isText(schema.unwrap());
  if (schema instanceof z.ZodPipe) return isText(schema.in);
  return schema instanceof z.ZodString || schema instanceof z.ZodEnum || schema instanceof z.ZodLiteral;
}

function respell(layout: Layout, input: unknown, path: ValuePath, defects: Defect[]): unknown {
  if (layout.is === 'list') {
    return Array.isArray(input) ? input.map((item, index) => respell(layout.of, item, [...path, index], defects)) : input;
  }
  if (layout.is === 'leaf' || !isObject(input)) return input;
  if (layout.is === 'map') return Object.fromEntries(Object.entries(input).map(([key, item]) => [key, respell(layout.of, item, [...path, key], defects)]));
  return respellObject(layout, input, path, defects);
}

function respellObject(layout: Layout & { is: 'object' }, input: object, path: ValuePath, defects: Defect[]): unknown {
  const output = new Map<string, unknown>();
  const spelledAs = new Map<string, string>();
  for (const [written, value] of Object.entries(input)) {
    const folded = foldKey(written);
    const field = layout.fields.get(folded);
    if (!field) {
      if (!layout.readOnly.has(folded)) defects.push(unknownKey(written, layout, [...path, written]));
      continue;
    }
    const earlier = spelledAs.get(folded);
    if (earlier !== undefined) {
      defects.push({ code: 'duplicate-key', message: `"${written}" is the same key as "${earlier}"`, path: [...path, written], hint: 'keep one of them' });
      continue;
    }
    spelledAs.set(folded, written);
    if (value === null || value === undefined || (value === '' && field.isText)) continue;
    output.set(field.key, respell(field.layout, value, [...path, written], defects));
  }
  return Object.fromEntries(output);
}

/** A message quotes what was written; of a long text its beginning will do. */
const LONGEST_MESSAGE = 500;

function shortened(defect: Defect): Defect {
  return defect.message.length > LONGEST_MESSAGE ? { ...defect, message: `${defect.message.slice(0, LONGEST_MESSAGE)}…` } : defect;
}

/** More known keys than this are no help in a message. */
const KEYS_WORTH_LISTING = 12;

function unknownKey(written: string, layout: Layout & { is: 'object' }, path: ValuePath): Defect {
  const known = [...layout.fields.values()].map(({ key }) => key);
  const meant = closestWord(written, known);
  const list = known.length <= KEYS_WORTH_LISTING ? `known here: ${known.join(', ')}` : 'see the reference of config entries for the keys known here';
  return { code: 'unknown-key', message: `unknown key "${written}"`, path, hint: meant ? `did you mean "${meant}"?` : list };
}

function defectOf(issue: z.core.$ZodIssue): Defect {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  const last = path.at(-1);
  if ((issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union') && issue.input === undefined) {
    return { code: 'missing-field', message: `"${last ?? ''}" is missing`, path, hint: `add "${last ?? ''}"` };
  }
  switch (issue.code) {
    case 'custom':
      return customDefect(issue, path);
    case 'invalid_type':
      return wrongType(issue.input, TYPE_WORDS[issue.expected] ?? issue.expected, path);
    case 'invalid_union':
      return wrongType(issue.input, 'a duration such as "10s"', path);
    case 'invalid_value': {
      const words = issue.values.map(String);
      if (typeof issue.input !== 'string') return wrongType(issue.input, `one of ${list(words)}`, path);
      const meant = closestWord(issue.input, words);
      return {
        code: 'invalid-value',
        message: `${JSON.stringify(issue.input)} is not ${words.length === 1 ? list(words) : `one of ${list(words)}`}`,
        path,
        ...(meant ? { hint: `did you mean "${meant}"?` } : {}),
      };
    }
    case 'too_small':
      return { code: 'invalid-value', message: `${JSON.stringify(issue.input)} is less than ${issue.minimum}`, path };
    case 'too_big':
      return { code: 'invalid-value', message: `${JSON.stringify(issue.input)} is more than ${issue.maximum}`, path };
    default:
      return { code: 'invalid-value', message: issue.message, path };
  }
}

function customDefect(issue: z.core.$ZodIssueCustom, path: ValuePath): Defect {
  const { code, hint } = (issue.params ?? {}) as { code?: string; hint?: string };
  return { code: code ?? 'invalid-value', message: issue.message, path, ...(hint ? { hint } : {}) };
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
};

function wrongType(input: unknown, expected: string, path: ValuePath): Defect {
  const hint = hintForType(input, expected);
  return { code: 'wrong-type', message: `${nameOf(path)}${describe(input)} where ${expected} belongs`, path, ...(hint ? { hint } : {}) };
}

function hintForType(input: unknown, expected: string): string | undefined {
  if (expected === 'text' && ['number', 'boolean'].includes(typeof input)) return `put it in quotes: "${String(input)}"`;
  if (/number/.test(expected) && typeof input === 'string' && /^-?\d+(\.\d+)?$/.test(input)) return 'take the quotes away';
  if (expected === 'true or false' && (input === 'true' || input === 'false')) return 'take the quotes away';
  if (expected === 'a list' && isObject(input)) return 'begin the item with "- "';
  return undefined;
}

/** The key in front, where there is one: the place of a value says where, not what. */
function nameOf(path: ValuePath): string {
  const key = path.findLast((part) => typeof part === 'string');
  return key === undefined ? '' : `${key}: `;
}

function describe(input: unknown): string {
  if (input === null) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  if (isObject(input)) return 'a map';
  return typeof input === 'string' ? `the text ${JSON.stringify(input)}` : String(input);
}

function list(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(', ');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
