import type { Problem } from '../mesh/problem.ts';

/** The mesh cannot be used and there is no earlier one to stand in. */
export class MeshError extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super('the mesh cannot be served');
    this.name = 'MeshError';
    this.problems = problems;
  }
}
