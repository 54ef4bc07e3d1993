import { formatProblem, type Problem } from '../mesh/problem.ts';
import type { Logger } from '../runtime/logger.ts';

/** What is wrong with adsum's surroundings, as long as it is: a disk, a clock. One problem per code. */
export class StandingProblems {
  readonly #byCode = new Map<string, Problem>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  raise(problem: Problem): void {
    const before = this.#byCode.get(problem.code);
    this.#byCode.set(problem.code, problem);
    if (before?.message !== problem.message) this.#logger[problem.severity === 'error' ? 'error' : 'warn']({ code: problem.code }, formatProblem(problem));
  }

  clear(code: string): void {
    const before = this.#byCode.get(code);
    if (this.#byCode.delete(code)) this.#logger.info({ code }, `over: ${before?.message}`);
  }

  list(): readonly Problem[] {
    return [...this.#byCode.values()];
  }
}
