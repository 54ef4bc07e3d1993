import type { Problem } from '../../mesh/problem.ts';
import type { Defect, Parsed, Parser } from '../../mesh/schema/parser.ts';

export interface Tolerated<Value> {
  /** Undefined: it has defects beyond unknown keys. */
  readonly value: Value | undefined;
  readonly problems: readonly Problem[];
  /** It holds keys this version of adsum does not know; they were left out. */
  readonly incomplete: boolean;
}

/**
 * Parses what Consul has accepted already. A newer Consul may send keys that are unknown here: they are left out with a warning,
 * so that an upgrade of Consul does not stop the mesh.
 * @param object as an operator would name it, e.g. `service-defaults/api`
 */
export function parseTolerantly<Value>(parse: Parser<Value>, input: unknown, object: string): Tolerated<Value> {
  const first = parse(input);
  if (first.value !== undefined) return { value: first.value, problems: [], incomplete: false };
  const unknown = first.defects.filter(({ code }) => code === 'unknown-key');
  const again: Parsed<Value> = unknown.length > 0 ? parse(withoutKeys(input, unknown)) : first;
  const problems = [...unknown.map((defect) => problemOf(defect, object, 'warning')), ...again.defects.map((defect) => problemOf(defect, object, 'error'))];
  return { value: again.value, problems, incomplete: unknown.length > 0 };
}

function problemOf({ code, message, path, hint }: Defect, object: string, severity: Problem['severity']): Problem {
  const at = path.length > 0 ? ` at ${path.join('.')}` : '';
  return { code, severity, message: `${message}${at}`, place: { object }, ...(hint && severity === 'error' ? { hint } : {}) };
}

function withoutKeys(input: unknown, unknown: readonly Defect[]): unknown {
  const copy: unknown = structuredClone(input);
  for (const { path } of unknown) {
    let holder: unknown = copy;
    for (const part of path.slice(0, -1))
      holder = typeof holder === 'object' && holder !== null ? (holder as Record<string | number, unknown>)[part] : undefined;
    const key = path.at(-1);
    if (typeof holder === 'object' && holder !== null && key !== undefined) delete (holder as Record<string | number, unknown>)[key];
  }
  return copy;
}
