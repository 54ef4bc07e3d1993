import type { Mesh } from '../mesh/mesh.ts';
import type { Problem } from '../mesh/problem.ts';

/** Port: the addresses that stand for services. */
export interface VirtualIps {
  /**
   * Service → address for everything in `mesh` that has one, and what could not be given any. What was told once stays.
   * @throws StateError when new addresses cannot be kept: then the mesh must not be served
   */
  assign(mesh: Mesh, now: number): { readonly addresses: ReadonlyMap<string, string>; readonly problems: readonly Problem[] };
}

/** The source brings the addresses along, as Consul does: a name that it gave none is not reachable by one. */
export const virtualIpsOfMesh: VirtualIps = { assign: (mesh) => ({ addresses: mesh.pinnedVirtualIps, problems: [] }) };
