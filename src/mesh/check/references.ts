import type { ConfigEntries } from '../mesh.ts';
import { type Place, type Problem, placeWithin } from '../problem.ts';
import type { ValuePath } from '../schema/parser.ts';

/** What the checks of references look at: the entries of a mesh. */
export interface Referenced {
  readonly configEntries: ConfigEntries;
}

/** A problem with a value inside an entry, at its exact place. */
export function problemIn(
  entry: { readonly kind: string; readonly name: string; readonly place?: Place },
  path: ValuePath,
  problem: Pick<Problem, 'severity' | 'code' | 'message' | 'hint'>,
): Problem {
  return { ...problem, place: placeWithin(entry.place, path) ?? { object: `${entry.kind}/${entry.name}` } };
}
