import { sameValue } from './same-value.ts';

/** How much a cell can be trusted. `check`: something it was derived from, directly or not, may have changed. `stale`: what it read has. */
type Trust = 'good' | 'check' | 'stale';

/** A remembered value, what it was derived from, and what was derived from it. */
interface Cell {
  /** What it answers: the name of an input or query, and the arguments. */
  readonly question: Question;
  /** For an input: looks the value up. For a query: works it out. */
  readonly compute: () => unknown;
  readonly isInput: boolean;
  /** Called when a watched value may no longer be right. */
  readonly onStale: (() => void) | undefined;
  /** Where it is filed, to be taken out when nobody needs it any more. Absent: a watched value. */
  readonly filed: { readonly cells: Map<string, Cell>; readonly key: string } | undefined;
  trust: Trust;
  outcome: Outcome | undefined;
  busy: boolean;
  sources: Set<Cell>;
  readonly dependents: Set<Cell>;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** A question by its name and arguments, for people. */
export interface Question {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A kind of facts that come from outside: looked up by name, remembered while something derived needs them. */
export interface Input<Value> {
  readonly name: string;
  readonly lookUp: (key: string) => Value;
}

/** A value that is derived from inputs and from other derived values, by a pure function of its source and its arguments. */
export interface Query<Source, Args extends readonly unknown[], Value> {
  readonly name: string;
  readonly compute: (source: Source, ...args: Args) => Value;
}

/** What derived values are asked from. */
export interface QuerySource {
  readonly store: QueryStore;
}

/** A derived value that somebody follows. */
export interface Watch<Value> {
  /** The value as it is now, worked out anew only if something that it was derived from differs. @throws what the computation throws */
  get(): Value;
  /** The inputs behind it or, given a value that it was derived from, behind that one. */
  inputs(of?: unknown): readonly Question[];
  /** Ends it. What nothing else was derived from is forgotten. */
  close(): void;
}

export interface QueryCounts {
  /** How often a query was worked out. */
  readonly computed: number;
  /** How often what it came to was the same as before, so that nothing further was worked out. */
  readonly unchanged: number;
  /** Values remembered now, inputs among them. */
  readonly kept: number;
}

/**
 * Remembers derived values while the inputs change, and works out again only what a change touches.
 *
 * Reading while a value is worked out notes what it was derived from. A changed input marks what depends on it; marked values are worked
 * out when somebody asks, sources first, and a value that comes out equal keeps its identity and stops the change there.
 * A value lives as long as a watched value was derived from it.
 */
export class QueryStore {
  readonly #inputs = new Map<Input<unknown>, Map<string, Cell>>();
  readonly #queries = new Map<unknown, Map<string, Cell>>();
  readonly #hubSize: number;
  /** Marked values with many dependents, which are not marked yet. Empty between updates. */
  readonly #hubs = new Set<Cell>();
  #reader: Cell | undefined;
  #computed = 0;
  #unchanged = 0;
  #kept = 0;

  /** @param options.hubSize how many direct dependents make a value a hub; default 16 */
  constructor({ hubSize = 16 }: { readonly hubSize?: number } = {}) {
    this.#hubSize = hubSize;
  }

  get counts(): QueryCounts {
    return { computed: this.#computed, unchanged: this.#unchanged, kept: this.#kept };
  }

  /** An input by its key. While nothing is being worked out it is only looked up. */
  read<Value>(input: Input<Value>, key: string): Value {
    if (!this.#reader) return input.lookUp(key);
    const cells = entryOf(this.#inputs, input, () => new Map<string, Cell>());
    const cell = entryOf(cells, key, () => this.#file({ name: input.name, args: [key] }, () => input.lookUp(key), { cells, key }, true));
    return this.#valueOf(cell) as Value;
  }

  /** The answer to a query. */
  answer<Source, Args extends readonly unknown[], Value>(query: Query<Source, Args, Value>, source: Source, args: Args): Value {
    if (!this.#reader) return this.#once(() => query.compute(source, ...args));
    const cells = entryOf(this.#queries, query, () => new Map<string, Cell>());
    const key = keyOf(args);
    const cell = entryOf(cells, key, () => this.#file({ name: query.name, args }, () => query.compute(source, ...args), { cells, key }, false));
    return this.#valueOf(cell) as Value;
  }

  /**
   * Takes in changed inputs: `report` is given a function to call with each input, and its keys, that may differ from now on. What depends on
   * those that do is marked.
   */
  update(report: (changed: (input: Input<unknown>, keys: Iterable<string>) => void) => void): void {
    if (this.#reader) throw new Error('inputs must not change while a value is worked out');
    report((input, keys) => {
      for (const key of keys) this.#inputChanged(input, key);
    });
    for (const hub of this.#hubs) {
      this.#hubs.delete(hub);
      this.#refresh(hub);
    }
  }

  #inputChanged(input: Input<unknown>, key: string): void {
    const cell = this.#inputs.get(input)?.get(key);
    if (!cell) return;
    const outcome: Outcome = { value: input.lookUp(key) };
    if (sameOutcome(outcome, cell.outcome)) return;
    cell.outcome = outcome;
    this.#markDependents(cell, 'stale');
  }

  /**
   * Direct dependents of what changed are stale; those further on are to check, because what they read may come out equal. At a hub the
   * marking waits: `update` works it out, and goes on from there only if it differs. So a change that comes to nothing in a value that
   * everything depends on costs this value, and not everything.
   */
  #markDependents(cell: Cell, trust: Trust): void {
    for (const dependent of cell.dependents) {
      const before = dependent.trust;
      if (before !== 'stale') dependent.trust = trust;
      if (before !== 'good') continue;
      dependent.onStale?.();
      if (dependent.dependents.size >= this.#hubSize) this.#hubs.add(dependent);
      else this.#markDependents(dependent, 'check');
    }
  }

  /** Follows a value. `onStale` is called each time it may have changed since the last `get`. */
  watch<Value>(compute: () => Value, onStale: () => void): Watch<Value> {
    const cell = newCell({ question: { name: 'watch', args: [] }, compute, isInput: false, onStale, filed: undefined });
    return {
      get: () => this.#valueOf(cell) as Value,
      inputs: (of) => inputsBehind(of === undefined ? cell : findCell(cell, of)),
      close: () => this.#release(cell),
    };
  }

  /** Works something out without keeping it; what it shares with watched values is taken from there. */
  #once<Value>(compute: () => Value): Value {
    const watch = this.watch(compute, () => {});
    try {
      return watch.get();
    } finally {
      watch.close();
    }
  }

  #file(question: Question, compute: () => unknown, filed: Cell['filed'], isInput: boolean): Cell {
    this.#kept += 1;
    return newCell({ question, compute, isInput, onStale: undefined, filed });
  }

  #valueOf(cell: Cell): unknown {
    if (cell.busy) throw new Error(`${cell.question.name} is derived from itself`);
    if (this.#reader) {
      this.#reader.sources.add(cell);
      cell.dependents.add(this.#reader);
    }
    this.#refresh(cell);
    if (cell.outcome && 'error' in cell.outcome) throw cell.outcome.error;
    return cell.outcome?.value;
  }

  #refresh(cell: Cell): void {
    if (cell.trust === 'check') {
      for (const source of cell.sources) {
        this.#refresh(source);
        if ((cell.trust as Trust) === 'stale') break;
      }
      if ((cell.trust as Trust) === 'check') cell.trust = 'good';
    }
    if (cell.trust === 'stale') this.#recompute(cell);
  }

  #recompute(cell: Cell): void {
    const before = cell.outcome;
    const oldSources = cell.sources;
    const reader = this.#reader;
    cell.sources = new Set();
    cell.busy = true;
    this.#reader = cell.isInput ? undefined : cell;
    let outcome: Outcome;
    try {
      outcome = { value: cell.compute() };
    } catch (error) {
      outcome = { error };
    }
    this.#reader = reader;
    cell.busy = false;
    cell.trust = 'good';
    for (const source of oldSources) if (!cell.sources.has(source)) this.#unlink(source, cell);
    if (!cell.isInput) this.#computed += 1;
    if (sameOutcome(outcome, before)) {
      this.#unchanged += 1;
      return;
    }
    cell.outcome = outcome;
    if (before) this.#markDependents(cell, 'stale');
  }

  #unlink(source: Cell, dependent: Cell): void {
    source.dependents.delete(dependent);
    if (source.dependents.size === 0 && source.filed) this.#release(source);
  }

  #release(cell: Cell): void {
    if (cell.filed) {
      cell.filed.cells.delete(cell.filed.key);
      this.#hubs.delete(cell);
      this.#kept -= 1;
    }
    for (const source of cell.sources) this.#unlink(source, cell);
    cell.sources = new Set();
    cell.outcome = undefined;
    cell.trust = 'stale';
  }
}

/** A query as a function that remembers: `compute` runs once for the same arguments until something that it read differs. Arguments are JSON data. */
export function query<Source extends QuerySource, Args extends readonly unknown[], Value>(
  name: string,
  compute: (source: Source, ...args: Args) => Value,
): (source: Source, ...args: Args) => Value {
  const definition: Query<Source, Args, Value> = { name, compute };
  return (source, ...args) => source.store.answer(definition, source, args);
}

function newCell(parts: Pick<Cell, 'question' | 'compute' | 'isInput' | 'onStale' | 'filed'>): Cell {
  return { ...parts, trust: 'stale', outcome: undefined, busy: false, sources: new Set(), dependents: new Set() };
}

function sameOutcome(one: Outcome, other: Outcome | undefined): boolean {
  return other !== undefined && 'value' in one && 'value' in other && sameValue(one.value, other.value);
}

function keyOf(args: readonly unknown[]): string {
  const [only] = args;
  return args.length === 1 && typeof only === 'string' ? only : JSON.stringify(args);
}

function inputsBehind(start: Cell | undefined): Question[] {
  return start ? [...cellsBehind(start)].filter(({ isInput }) => isInput).map(({ question }) => question) : [];
}

/** The cell with this very value, or else the last one that has it in a field: those further on only pass it on. */
function findCell(start: Cell, value: unknown): Cell | undefined {
  const cells = [...cellsBehind(start)];
  const valueIn = ({ outcome }: Cell) => (outcome && 'value' in outcome ? outcome.value : undefined);
  const holds = (held: unknown) => typeof held === 'object' && held !== null && Object.values(held).includes(value);
  return cells.find((cell) => valueIn(cell) === value) ?? cells.findLast((cell) => holds(valueIn(cell)));
}

/** A cell and everything that it was derived from, nearest first. */
function cellsBehind(start: Cell): Set<Cell> {
  const found = new Set([start]);
  for (const cell of found) for (const source of cell.sources) found.add(source);
  return found;
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const made = make();
  map.set(key, made);
  return made;
}
