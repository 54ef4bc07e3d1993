import { z } from 'zod';
import { name, nameOrWildcard, required, tenancy, text, textMap } from './field.ts';

/** What Consul prints with an entry and ignores on writing. */
const READ_ONLY = ['create_index', 'modify_index', 'hash', 'status'];

const common = { ...tenancy, meta: textMap("The user's own keys and values.") };

/** The schema of one kind of config entry: these fields, and those that every kind has. */
export function entrySchema<const Kind extends string, Shape extends z.core.$ZodLooseShape>(kind: Kind, description: string, shape: Shape) {
  return z
    .strictObject({ kind: z.literal(kind).meta({ description: `\`${kind}\`` }), name: required(name('Its name.')), ...common, ...shape })
    .meta({ description, readOnly: READ_ONLY });
}

/** As `entrySchema`, for a kind of which there is one entry under a fixed name. */
export function singletonSchema<const Kind extends string, const Name extends string, Shape extends z.core.$ZodLooseShape>(
  kind: Kind,
  fixedName: Name,
  description: string,
  shape: Shape,
) {
  return z
    .strictObject({
      kind: z.literal(kind).meta({ description: `\`${kind}\`` }),
      name: z
        .literal(fixedName)
        .meta({ description: `Always \`${fixedName}\`.` })
        .default(fixedName),
      ...common,
      ...shape,
    })
    .meta({ description, readOnly: READ_ONLY });
}

/** A name that may be `*`. */
export const wildcardName = required(nameOrWildcard('The destination service, or `*` for all.'));

export const resourceReference = {
  kind: text('The kind of the entry.'),
  name: required(name('The name of the entry.')),
  section_name: text('A part of it, e.g. a listener.'),
  ...tenancy,
};
