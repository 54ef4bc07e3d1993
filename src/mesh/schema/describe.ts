import { z } from 'zod';
import { ENTERPRISE_TYPE, type FieldMeta } from './field.ts';

/** One field of a schema, as people look it up. */
export interface FieldDescription {
  /** Dotted, `[]` for the items of a list, `<name>` for the user's own keys: `sources[].permissions[].http.path_exact`. */
  readonly path: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly description: string;
  readonly unit?: string;
  readonly default?: string;
}

/** Every field of a schema with those inside it, in the order of the schema. */
export function describeSchema(schema: z.core.$ZodType, prefix = ''): FieldDescription[] {
  const { inner } = unwrap(schema);
  if (inner instanceof z.ZodArray) return describeSchema(inner.element, `${prefix}[]`);
  if (inner instanceof z.ZodRecord) return describeSchema(inner.valueType, `${prefix}.<name>`);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Record<string, z.core.$ZodType>).flatMap(([key, field]) => {
    const { meta, isRequired, inner: fieldInner } = unwrap(field);
    if (meta.type === ENTERPRISE_TYPE) return [];
    const path = prefix ? `${prefix}.${key}` : key;
    const { unit, default: fallback, description = '' } = meta;
    const described = { path, type: meta.type ?? typeName(fieldInner), isRequired, description };
    return [{ ...described, ...(unit ? { unit } : {}), ...(fallback ? { default: fallback } : {}) }, ...describeSchema(field, path)];
  });
}

/** What is inside optional and default values, and the notes on the outermost layer that has any. */
function unwrap(schema: z.core.$ZodType): { inner: z.core.$ZodType; meta: FieldMeta; isRequired: boolean } {
  let inner = schema;
  let meta: FieldMeta = {};
  let isRequired = true;
  for (;;) {
    meta = { ...(z.globalRegistry.get(inner) as FieldMeta | undefined), ...meta };
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) {
      isRequired = false;
      inner = inner.unwrap();
    } else return { inner, meta, isRequired };
  }
}

function typeName(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.map((word) => `\`${word}\``).join(', ');
  if (schema instanceof z.ZodLiteral) return [...schema.values].map((word) => `\`${word}\``).join(', ');
  if (schema instanceof z.ZodArray) return `list of ${plural(typeName(unwrap(schema.element).inner))}`;
  if (schema instanceof z.ZodRecord) return `map of names to ${plural(typeName(unwrap(schema.valueType).inner))}`;
  if (schema instanceof z.ZodObject) return 'map';
  if (schema instanceof z.ZodBoolean) return 'true or false';
  if (schema instanceof z.ZodNumber) return schema.format === 'safeint' ? 'whole number' : 'number';
  return schema instanceof z.ZodString ? 'text' : 'anything';
}

function plural(type: string): string {
  return ['map', 'whole number', 'number'].includes(type) ? `${type}s` : type.startsWith('list of') ? type.replace('list', 'lists') : type;
}
