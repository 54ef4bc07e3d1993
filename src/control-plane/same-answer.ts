/**
 * Whether two answers of topologies say the same. Most are the very same object; the rest is compared part by part. Answers are plain data,
 * lists, maps and sets; what is not enumerable (where something is written) is no part of them.
 */
export function sameAnswer(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((item, index) => sameAnswer(item, other[index]));
  if (one instanceof Set) return other instanceof Set && one.size === other.size && [...one].every((item) => other.has(item));
  if (one instanceof Map)
    return other instanceof Map && one.size === other.size && [...one].every(([key, value]) => other.has(key) && sameAnswer(value, other.get(key)));
  if (Array.isArray(other) || other instanceof Set || other instanceof Map) return false;
  return sameFields(one as Record<string, unknown>, other as Record<string, unknown>);
}

function sameFields(one: Record<string, unknown>, other: Record<string, unknown>): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && sameAnswer(one[name], other[name]));
}
