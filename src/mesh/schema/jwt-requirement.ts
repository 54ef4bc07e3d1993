import type { z } from 'zod';
import { listOf, name, required, section, text, textList } from './field.ts';

/** A token that a request must carry; any of the providers will do. */
export const jwtRequirement = (description: string) =>
  section(description, {
    providers: listOf('A token of any of these will do.', {
      name: required(name('A jwt-provider.')),
      verify_claims: listOf('All of these must hold.', {
        path: textList('Keys from the root of the payload to the claim.'),
        value: text('What it must be, or, if it is a list, contain.'),
      }),
    }),
  });

export type JwtRequirement = NonNullable<z.output<ReturnType<typeof jwtRequirement>>>;
