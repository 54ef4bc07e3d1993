/** How much of something clients may make adsum keep or do. */
export class Budget {
  /** What is bounded and where, for the client and for the log: `streams on one connection`. */
  readonly what: string;
  readonly limit: number;
  #used = 0;

  constructor(what: string, limit: number) {
    this.what = what;
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** May be more than is left: see `takeFrom`. A negative amount gives back. */
  add(amount: number): void {
    this.#used += amount;
  }
}

/**
 * Takes an amount from all of some budgets, or from none.
 * @returns the first without room
 */
export function takeFrom(budgets: readonly Budget[], amount: number): Budget | undefined {
  const exhausted = amount > 0 ? budgets.find(({ used, limit }) => used + amount > limit) : undefined;
  if (!exhausted) for (const budget of budgets) budget.add(amount);
  return exhausted;
}
