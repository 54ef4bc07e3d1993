import { checkChainReferences } from './check/chain-references.ts';
import { checkIntentionReferences } from './check/intention-references.ts';
import { checkOtherReferences } from './check/other-references.ts';
import type { Mesh } from './mesh.ts';
import type { Problem } from './problem.ts';

/**
 * What entries say of each other that cannot work. An error is what Consul refuses on writing, or what would leave a service
 * unprotected or unreachable; a warning what Consul takes too and what is probably not meant.
 */
export function checkReferences(mesh: Pick<Mesh, 'configEntries' | 'instances'>): Problem[] {
  return [...checkChainReferences(mesh), ...checkIntentionReferences(mesh), ...checkOtherReferences(mesh)];
}
