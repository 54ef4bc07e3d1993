import type { ConfigEntries } from '../mesh.ts';
import { type Place, type Problem, placeWithin, type Severity } from '../problem.ts';
import type { ValuePath } from '../schema/parser.ts';

/** What the checks of references look at: the entries of a mesh. */
export interface Referenced {
  readonly configEntries: ConfigEntries;
}

/** A problem with a value inside an entry, at its exact place. */
export function problemIn(
  entry: { readonly kind: string; readonly name: string; readonly place?: Place },
  path: ValuePath,
  severity: Severity,
  code: string,
  message: string,
  hint: string,
): Problem {
  const place = placeWithin(entry.place, path) ?? { object: `${entry.kind}/${entry.name}` };
  return { code, severity, message, place, hint };
}
