/** A value that may be another later. */
export interface Watchable<Value> {
  readonly value: Value;
  /** @returns stops listening */
  onChange(listener: (value: Value) => void): () => void;
}

/** A value that stays. */
export function constant<Value>(value: Value): Watchable<Value> {
  return { value, onChange: () => () => {} };
}
