/**
 * Whether two values say the same. Values are plain data, lists, maps and sets, of which the order counts, because results may follow it.
 * The order of an object's fields does not count. Fields that are not enumerable (where something is written) are no part of a value.
 */
export function sameValue(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false;
  if (Array.isArray(one)) return sameItems(one, other as readonly unknown[]);
  if (one instanceof Set) return one.size === (other as Set<unknown>).size && sameItems([...one], [...(other as Set<unknown>)]);
  if (one instanceof Map) return one.size === (other as Map<unknown, unknown>).size && sameItems([...one], [...(other as Map<unknown, unknown>)]);
  return sameFields(one as Fields, other as Fields);
}

type Fields = Readonly<Record<string, unknown>>;

function sameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => sameValue(item, other[index]));
}

function sameFields(one: Fields, other: Fields): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && sameValue(one[name], other[name]));
}
