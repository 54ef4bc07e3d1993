import type { Defect, ValuePath } from '../schema/parser.ts';
import type { IntentionPermission, IntentionSource, ServiceIntentions } from '../schema/service-intentions.ts';
import { sameName } from '../service-names.ts';
import { checkPathAndMethods, checkValueMatch } from './http-match.ts';

const HEADER_WAYS = ['present', 'exact', 'prefix', 'suffix', 'contains', 'regex'];

/** What Consul refuses of a service-intentions entry. */
export function checkServiceIntentions(entry: ServiceIntentions): Defect[] {
  if (entry.sources.length === 0) {
    return [{ code: 'missing-field', message: 'the entry has no sources', path: [], hint: 'add a source, or remove the entry' }];
  }
  return entry.sources.flatMap((source, index) => [
    ...checkDuplicate(entry.sources, index),
    ...checkSource(source, entry.name, ['sources', index]),
    ...source.permissions.flatMap((permission, rule) => checkPermission(permission, ['sources', index, 'permissions', rule])),
  ]);
}

function checkDuplicate(sources: readonly IntentionSource[], index: number): Defect[] {
  const source = sources[index];
  const same = (other: IntentionSource) =>
    sameName(other.name, source?.name ?? '') && other.peer === source?.peer && other.sameness_group === source?.sameness_group;
  const first = sources.findIndex(same);
  if (!source || first === index) return [];
  return [{ code: 'duplicate-source', message: `source "${source.name}" is there twice`, path: ['sources', index, 'name'], hint: 'keep one of them' }];
}

function checkSource(source: IntentionSource, destination: string, path: ValuePath): Defect[] {
  const hasRules = source.permissions.length > 0;
  if (!source.action && !hasRules) {
    return [{ code: 'missing-field', message: `source "${source.name}" says neither allow nor deny`, path, hint: 'add "action", or "permissions" for HTTP' }];
  }
  const defects: Defect[] = [];
  if (source.action && hasRules) {
    defects.push({
      code: 'conflicting-fields',
      message: '"action" and "permissions" cannot stand together',
      path: [...path, 'action'],
      hint: 'leave "action" out; a last permission for every path says the same',
    });
  }
  if (hasRules && destination === '*') {
    defects.push({
      code: 'wildcard-permissions',
      message: 'an intention for every destination cannot have permissions',
      path: [...path, 'permissions'],
      hint: 'name the destination service',
    });
  }
  return defects;
}

function checkPermission({ http, jwt }: IntentionPermission, path: ValuePath): Defect[] {
  if (!http) {
    return jwt ? [] : [{ code: 'missing-field', message: 'the permission has no condition', path, hint: 'add "http", for example with path_prefix: /' }];
  }
  const at = [...path, 'http'];
  if (!http.path_exact && !http.path_prefix && !http.path_regex && http.header.length === 0 && http.methods.length === 0) {
    return [{ code: 'missing-field', message: '"http" has no condition', path: at, hint: 'path_prefix: / matches every request' }];
  }
  return [...checkPathAndMethods(http, at), ...http.header.flatMap((header, index) => checkValueMatch(header, HEADER_WAYS, [...at, 'header', index]))];
}
