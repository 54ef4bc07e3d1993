import type { Mesh } from './mesh.ts';
import { type Place, type Problem, type ProblemSubject, placeWithin } from './problem.ts';
import { isConfigEntryKind } from './schema/config-entry.ts';

/**
 * The problem with the place of what it is about, as `mesh` has it. Problems of derived values name their object only: a place in them would
 * change whenever a line moves.
 */
export function locateProblem({ about, ...problem }: Problem, mesh: Pick<Mesh, 'instances' | 'configEntries'>): Problem {
  return about === undefined ? problem : { ...problem, place: placeOf(about, mesh) };
}

function placeOf(about: ProblemSubject, { instances, configEntries }: Pick<Mesh, 'instances' | 'configEntries'>): Place {
  if ('kind' in about) {
    const entry = isConfigEntryKind(about.kind) ? configEntries.get(about.kind, about.name) : undefined;
    return { object: `${about.kind}/${about.name}`, ...placeWithin(entry?.place, about.path ?? []) };
  }
  const instance = instances.find(({ node, id }) => node === about.node && id === about.id);
  return { object: `service ${about.id} on ${about.node}`, ...placeWithin(instance?.place, about.path ?? []) };
}
