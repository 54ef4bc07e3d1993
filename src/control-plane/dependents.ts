import type { Topology } from '../topology/topology.ts';
import type { Read, Reads } from '../topology/tracked-topology.ts';
import { sameAnswer } from './same-answer.ts';

interface Question<Dependent> {
  readonly read: Read;
  readonly dependents: Set<Dependent>;
}

/**
 * Who rests on which answers of the topology. A new topology is asked each question once, however many dependents it has; those
 * who rest on an answer that differs are the ones a change touches.
 */
export class Dependents<Dependent> {
  readonly #questions = new Map<string, Question<Dependent>>();
  readonly #readsOf = new Map<Dependent, Reads>();

  /** Replaces what `dependent` rests on. */
  set(dependent: Dependent, reads: Reads): void {
    this.delete(dependent);
    this.#readsOf.set(dependent, reads);
    for (const [key, read] of reads) {
      const question = this.#questions.get(key);
      if (question) question.dependents.add(dependent);
      else this.#questions.set(key, { read, dependents: new Set([dependent]) });
    }
  }

  delete(dependent: Dependent): void {
    for (const key of this.#readsOf.get(dependent)?.keys() ?? []) {
      const question = this.#questions.get(key);
      question?.dependents.delete(dependent);
      if (question?.dependents.size === 0) this.#questions.delete(key);
    }
    this.#readsOf.delete(dependent);
  }

  /**
   * Those who rest on an answer that is another now. They are forgotten until `set` tells anew what they rest on, so that no old answer
   * is compared with.
   */
  takeTouchedBy(topology: Topology): Set<Dependent> {
    const touched = new Set<Dependent>();
    for (const { read, dependents } of this.#questions.values()) {
      if (sameAnswer(read.ask(topology), read.answer)) continue;
      for (const dependent of dependents) touched.add(dependent);
    }
    for (const dependent of touched) this.delete(dependent);
    return touched;
  }
}
