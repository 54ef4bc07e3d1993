import type { Mesh } from './mesh.ts';
import type { Problem } from './problem.ts';

/** What entries say of each other that cannot work. Warnings only where Consul would take the entry too. */
export function checkReferences(_mesh: Omit<Mesh, 'problems'>): Problem[] {
  return [];
}
