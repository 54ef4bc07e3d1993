/**
 * Remembers what was built from parts of views, for as long as the parts live. Views share their equal parts, the very same objects, so that
 * most of a view has been built for another one, or for the view before a change.
 */
export class PartMemo {
  readonly #built = new WeakMap<object, unknown>();

  /** `build(...parts)`, run once for the same function and parts. It must be pure, and the parts must never change. */
  of<Parts extends readonly object[], Value>(build: (...parts: Parts) => Value, ...parts: Parts): Value {
    let level = this.#built;
    for (const key of [build, ...parts.slice(0, -1)]) {
      let next = level.get(key) as WeakMap<object, unknown> | undefined;
      if (!next) {
        next = new WeakMap();
        level.set(key, next);
      }
      level = next;
    }
    const last = parts.at(-1);
    if (!last) throw new Error('nothing to remember it by');
    if (!level.has(last)) level.set(last, build(...parts));
    return level.get(last) as Value;
  }
}
