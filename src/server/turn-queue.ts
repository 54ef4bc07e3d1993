/** How many turns are taken before other work of the process gets a chance: some milliseconds' worth. */
const TURNS_PER_SLICE = 25;

/** Lets many streams take their turn without holding up the process. A task that waits already is not queued twice. */
export class TurnQueue {
  readonly #waiting = new Set<() => void>();
  #scheduled = false;

  add(task: () => void): void {
    this.#waiting.add(task);
    this.#schedule();
  }

  remove(task: () => void): void {
    this.#waiting.delete(task);
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#slice());
  }

  #slice(): void {
    this.#scheduled = false;
    let turns = 0;
    for (const task of this.#waiting) {
      if (turns++ === TURNS_PER_SLICE) break;
      this.#waiting.delete(task);
      task();
    }
    this.#schedule();
  }
}
