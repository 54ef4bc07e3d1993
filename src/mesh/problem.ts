/** Where a defect stands: in a file (1-based line and column) or in an object read from elsewhere. */
export interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** The object, as an operator would name it: `service-intentions/api`, `service web on vm-web`. */
  readonly object?: string;
  /** Where a value inside it stands, by its path of parsed names. Not enumerable: it takes no part in comparisons and output. */
  readonly within?: (path: readonly (string | number)[]) => Place;
}

/** The place of a value inside an object, as exactly as its source can say. */
export function placeWithin(place: Place | undefined, path: readonly (string | number)[]): Place | undefined {
  return place?.within?.(path) ?? place;
}

/** `error`: what it touches is not served as written. `warning`: served, but probably not what was meant. */
export type Severity = 'error' | 'warning';

/**
 * A copy of `value` that knows where it is written. Where something stands is no part of what it says: `place` is not enumerable, so
 * comparisons, further copies (`{ ...value }`) and output leave it out.
 */
export function placed<Value extends object>(value: Value, place: Place): Value & { readonly place?: Place } {
  return Object.defineProperty({ ...value }, 'place', { value: place, enumerable: false });
}

/** A place that knows how to find the values inside it. */
export function searchablePlace(place: Place, within: (path: readonly (string | number)[]) => Place): Place {
  return Object.defineProperty({ ...place }, 'within', { value: within, enumerable: false });
}

/** An object of the mesh: a config entry, or an instance. */
export type ProblemSubject = ({ readonly kind: string; readonly name: string } | { readonly node: string; readonly id: string }) & {
  /** A value inside it. */
  readonly path?: readonly (string | number)[];
};

/** A defect in the input, as a value. Every code is listed in docs/problems.md with its cause and cure. */
export interface Problem {
  /** Stable and searchable, e.g. `unknown-key`. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly place?: Place;
  /** The entry or instance it is about, where the place is looked up only when the problem is shown. See `locateProblem`. */
  readonly about?: ProblemSubject;
  /** What to do about it, in one sentence. */
  readonly hint?: string;
  /** IDs of the proxies it touches, when known. */
  readonly proxies?: readonly string[];
}

/** One line for people: `mesh.yaml:12:5: error unknown-key: …`. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, object } = problem.place ?? {};
  const where = [file, line, column].filter((part) => part !== undefined).join(':') || object;
  return `${where ? `${where}: ` : ''}${problem.severity} ${problem.code}: ${problem.message}${problem.hint ? ` (${problem.hint})` : ''}`;
}
