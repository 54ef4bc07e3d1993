import type { EntryOfKind } from '../schema/config-entry.ts';
import type { Defect } from '../schema/parser.ts';

/** What Consul refuses of the access logs of a proxy-defaults entry. */
export function checkProxyDefaults({ access_logs: logs }: EntryOfKind<'proxy-defaults'>): Defect[] {
  if (!logs) return [];
  const defects: Defect[] = [];
  if (logs.type === 'file' && !logs.path) {
    defects.push({ code: 'missing-field', message: 'access logs of type "file" need a path', path: ['access_logs', 'type'], hint: 'add "path"' });
  }
  if (logs.path && logs.type !== 'file') {
    defects.push({ code: 'conflicting-fields', message: '"path" has a meaning with type "file" only', path: ['access_logs', 'path'], hint: 'add type: file' });
  }
  if (logs.json_format && logs.text_format) {
    const message = '"json_format" and "text_format" cannot stand together';
    defects.push({ code: 'conflicting-fields', message, path: ['access_logs', 'text_format'], hint: 'keep one of them' });
  }
  if (logs.json_format && !isJsonObject(logs.json_format)) {
    defects.push({ code: 'invalid-value', message: 'json_format is not a JSON object', path: ['access_logs', 'json_format'] });
  }
  return defects;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
