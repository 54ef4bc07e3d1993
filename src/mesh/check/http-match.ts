import type { Defect, ValuePath } from '../schema/parser.ts';
import { regexFault } from './regex.ts';

interface PathMatch {
  readonly path_exact?: string | undefined;
  readonly path_prefix?: string | undefined;
  readonly path_regex?: string | undefined;
  readonly methods: readonly string[];
}

type ValueMatch = Readonly<Record<string, unknown>> & { readonly name: string; readonly regex?: string | undefined };

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];

/** Conditions on path and method, which routes and intentions share. Source: what Consul refuses on writing. */
export function checkPathAndMethods(match: PathMatch, path: ValuePath): Defect[] {
  const defects: Defect[] = [];
  const given = (['path_exact', 'path_prefix', 'path_regex'] as const).filter((key) => match[key]);
  const [, second] = given;
  if (second) {
    defects.push({ code: 'conflicting-fields', message: `only one of ${given.join(', ')} may be set`, path: [...path, second], hint: 'keep one of them' });
  }
  for (const key of ['path_exact', 'path_prefix'] as const) {
    const value = match[key];
    if (value && !value.startsWith('/')) {
      defects.push({ code: 'invalid-path', message: `${JSON.stringify(value)} does not begin with "/"`, path: [...path, key], hint: `write "/${value}"` });
    }
  }
  defects.push(...checkRegex(match.path_regex, [...path, 'path_regex']));
  for (const [index, method] of match.methods.entries()) {
    const at = [...path, 'methods', index];
    if (!METHODS.includes(method.toUpperCase())) {
      defects.push({ code: 'invalid-value', message: `${JSON.stringify(method)} is no HTTP method`, path: at, hint: `one of ${METHODS.join(', ')}` });
    } else if (match.methods.indexOf(method) !== index) {
      defects.push({ code: 'duplicate-value', message: `${method} is there twice`, path: at });
    }
  }
  return defects;
}

/** A header or query parameter is compared in one way only. */
export function checkValueMatch(match: ValueMatch, ways: readonly string[], path: ValuePath): Defect[] {
  const given = ways.filter((way) => match[way]);
  const [, second] = given;
  const defects = checkRegex(match.regex, [...path, 'regex']);
  if (given.length === 0) {
    defects.push({
      code: 'missing-field',
      message: `"${match.name}" is compared with nothing`,
      path,
      hint: `add one of ${ways.join(', ')}; "present: true" if any value will do`,
    });
  } else if (second) {
    defects.push({ code: 'conflicting-fields', message: `only one of ${given.join(', ')} may be set`, path: [...path, second], hint: 'keep one of them' });
  }
  return defects;
}

export function checkRegex(pattern: string | undefined, path: ValuePath): Defect[] {
  const fault = pattern ? regexFault(pattern) : undefined;
  return fault ? [{ code: 'invalid-regex', message: `not a regular expression of RE2: ${fault}`, path, hint: 'see the RE2 syntax page' }] : [];
}
