/**
 * Why a name is still to be sent.
 * - `asked`: the client named it, or everything, and waits
 * - `changed`: new or changed without the client's doing
 * - `absent`: delta only; the client named it and there is no such resource
 * - `removed`: the client has it and should not
 */
export type Reason = 'asked' | 'changed' | 'absent' | 'removed';

/** What separates a client from the resources it should have: names by reason, each under one reason at most, first come first sent. */
export class Pending {
  readonly #byReason: Readonly<Record<Reason, Set<string>>> = { asked: new Set(), changed: new Set(), absent: new Set(), removed: new Set() };

  get asked(): ReadonlySet<string> {
    return this.#byReason.asked;
  }

  get changed(): ReadonlySet<string> {
    return this.#byReason.changed;
  }

  get absent(): ReadonlySet<string> {
    return this.#byReason.absent;
  }

  get removed(): ReadonlySet<string> {
    return this.#byReason.removed;
  }

  get size(): number {
    return this.asked.size + this.changed.size + this.absent.size + this.removed.size;
  }

  /** @param reason undefined: there is nothing to send for this name */
  put(name: string, reason: Reason | undefined): void {
    const { asked, changed, absent, removed } = this.#byReason;
    const target = reason && this.#byReason[reason];
    if (target?.has(name)) return;
    void (asked.delete(name) || changed.delete(name) || absent.delete(name) || removed.delete(name));
    target?.add(name);
  }

  clear(): void {
    for (const names of Object.values(this.#byReason)) names.clear();
  }
}
