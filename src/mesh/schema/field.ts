import { z } from 'zod';
import { parseDurationMs } from './duration.ts';

/**
 * The vocabulary of the schemas. A field is optional unless wrapped in `required`; its description, unit and default are for the
 * generated documentation. A default given as text here is what happens when the field is absent; it is not filled in.
 */
export interface FieldNotes {
  readonly unit?: string;
  readonly default?: string;
}

/** What the documentation generator finds on a schema. */
export interface FieldMeta extends FieldNotes {
  readonly description?: string;
  /** Keys that Consul prints and ignores on writing, such as `create_index`: accepted and dropped. */
  readonly readOnly?: readonly string[];
  /** A type of its own in the documentation, e.g. `duration`. */
  readonly type?: string;
}

const LARGEST_PORT = 65_535;

/** A numeric duration below this is a forgotten unit: nobody means five nanoseconds. */
const SMALLEST_PLAUSIBLE_DURATION_MS = 1;

/** Services, nodes and config entries: what fits a DNS label, a SPIFFE path and an SNI, and the dot and underscore Consul lets pass. */
export const NAME_PATTERN = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

export function text(description: string, notes?: FieldNotes) {
  return z
    .string()
    .meta({ description, ...notes })
    .optional();
}

export function flag(description: string, notes: FieldNotes = { default: 'false' }) {
  return z
    .boolean()
    .meta({ description, ...notes })
    .optional();
}

/** A whole number, not negative unless `min` says so. */
export function integer(description: string, notes: FieldNotes & { readonly min?: number; readonly max?: number } = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, ...shown } = notes;
  return z
    .int()
    .min(min)
    .max(max)
    .meta({ description, ...shown })
    .optional();
}

/** A number that may have a fraction, not negative. */
export function decimal(description: string, notes: FieldNotes & { readonly max?: number } = {}) {
  const { max = Number.MAX_VALUE, ...shown } = notes;
  return z
    .number()
    .min(0)
    .max(max)
    .meta({ description, ...shown })
    .optional();
}

/** A TCP port; 0 stands for "none", as in Consul. */
export function port(description: string, notes: FieldNotes = {}) {
  return z
    .number()
    .refine((value) => Number.isInteger(value) && value >= 0 && value <= LARGEST_PORT, {
      error: (issue) => `${JSON.stringify(issue.input)} is not a port`,
      params: { code: 'invalid-port', hint: `a port is a whole number from 1 to ${LARGEST_PORT}` },
    })
    .meta({ description, type: 'port', ...notes })
    .optional();
}

/** Written as `10s` or in nanoseconds; the parsed value is in milliseconds. */
export function duration(description: string, notes: FieldNotes = {}) {
  return z
    .union([z.string(), z.number()])
    .transform((value, context): number => {
      const ms = parseDurationMs(value);
      if (ms === undefined) {
        context.addIssue({
          code: 'custom',
          message: `${JSON.stringify(value)} is not a duration`,
          params: { code: 'invalid-duration', hint: 'write a number with its unit, such as "10s", "1m30s" or "250ms"' },
        });
        return z.NEVER;
      }
      if (typeof value === 'number' && ms > 0 && ms < SMALLEST_PLAUSIBLE_DURATION_MS) {
        context.addIssue({
          code: 'custom',
          message: `the number ${value} means ${value} nanoseconds`,
          params: { code: 'invalid-duration', hint: `if seconds are meant, write "${value}s"` },
        });
        return z.NEVER;
      }
      return ms;
    })
    .meta({ description, type: 'duration', unit: 'written as "10s"; parsed to milliseconds', ...notes })
    .optional();
}

/** One of a few words, spelled exactly so. `""` counts as absent, as in Consul. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words, description: string, notes?: FieldNotes) {
  return z
    .enum(words)
    .meta({ description, ...notes })
    .optional();
}

/** What a listener or service speaks. Consul lowers the case. */
export function protocol(description: string, notes: FieldNotes = { default: 'tcp' }) {
  return z
    .string()
    .toLowerCase()
    .pipe(z.enum(['tcp', 'http', 'http2', 'grpc']))
    .meta({ description, type: '`tcp`, `http`, `http2` or `grpc`', ...notes })
    .optional();
}

/** The name of a service, node or config entry. */
export function name(description: string) {
  return nameSchema(NAME_PATTERN, 'letters, digits, "-", "_" and "."').meta({ description }).optional();
}

/** As `name`, or `*` for all. */
export function nameOrWildcard(description: string) {
  return nameSchema(new RegExp(`^\\*$|${NAME_PATTERN.source}`), 'letters, digits, "-", "_" and ".", or just "*"')
    .meta({ description })
    .optional();
}

function nameSchema(pattern: RegExp, allowed: string) {
  return z.string().refine((value) => pattern.test(value), {
    error: (issue) => `${JSON.stringify(issue.input)} is not a valid name`,
    params: { code: 'invalid-name', hint: `a name has ${allowed}; it begins and ends with a letter or digit` },
  });
}

export function textList(description: string, notes?: FieldNotes) {
  return z
    .array(z.string())
    .meta({ description, ...notes })
    .default([]);
}

/** A map from the user's own keys to text. Keys keep their spelling. */
export function textMap(description: string) {
  return z.record(z.string(), z.string()).meta({ description }).optional();
}

/** Anything the user likes; nothing in it is renamed or checked here. */
export function freeMap(description: string) {
  return z.record(z.string(), z.unknown()).meta({ description }).optional();
}

/** An object with exactly these fields. */
export function section<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape, readOnly: readonly string[] = []) {
  return z.strictObject(shape).meta({ description, readOnly }).optional();
}

/** A list of objects with exactly these fields; absent means empty. */
export function listOf<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape, readOnly: readonly string[] = []) {
  return z.array(z.strictObject(shape).meta({ readOnly })).meta({ description }).default([]);
}

/** The user's own names → objects with exactly these fields; absent means empty. */
export function mapOf<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape) {
  return z.record(z.string(), z.strictObject(shape)).meta({ description }).default({});
}

/** The same field, not optional. */
export function required<Schema extends z.ZodType>(field: z.ZodOptional<Schema>): Schema {
  return field.unwrap();
}

/** The type of fields that the documentation mentions once and not in every table. */
export const ENTERPRISE_TYPE = 'enterprise';

/** Namespaces and partitions exist in Consul Enterprise only; here there is `default` and nothing else. */
export function enterpriseOnly(what: string) {
  return z
    .string()
    .refine((value) => value === 'default', {
      error: (issue) => `${what} ${JSON.stringify(issue.input)}: only "default" exists`,
      params: { code: 'enterprise-only', hint: `${what}s are a feature of Consul Enterprise; leave the key out` },
    })
    .meta({ description: `Only \`default\`: ${what}s are a feature of Consul Enterprise.`, default: 'default', type: ENTERPRISE_TYPE })
    .optional();
}

/** `namespace` and `partition`, which Consul's structures carry nearly everywhere. */
export const tenancy = { namespace: enterpriseOnly('namespace'), partition: enterpriseOnly('partition') };
