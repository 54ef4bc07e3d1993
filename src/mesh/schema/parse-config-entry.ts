import type { z } from 'zod';
import { checkConfigEntry } from '../check-config-entry.ts';
import { type ConfigEntry, type ConfigEntryKind, configEntrySchemas, isConfigEntryKind } from './config-entry.ts';
import { type Parsed, type Parser, parserOf } from './parser.ts';
import { closestWord, foldKey } from './spelling.ts';

const parsers = new Map<ConfigEntryKind, Parser<unknown>>(
  Object.entries<z.ZodType>(configEntrySchemas).map(([kind, schema]) => [kind as ConfigEntryKind, parserOf(schema)]),
);

/** A config entry in either spelling, as `consul config write` and Consul's HTTP API have it. */
export function parseConfigEntry(input: unknown): Parsed<ConfigEntry> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { defects: [{ code: 'wrong-type', message: 'a config entry is a map', path: [], hint: 'begin it with its kind and name' }] };
  }
  const [kindKey, kind] = Object.entries(input).find(([key]) => foldKey(key) === 'kind') ?? [];
  if (kindKey === undefined) return { defects: [{ code: 'missing-field', message: '"kind" is missing', path: [], hint: `one of ${KINDS.join(', ')}` }] };
  if (!isConfigEntryKind(kind)) {
    const meant = typeof kind === 'string' ? closestWord(kind, KINDS) : undefined;
    const hint = meant ? `did you mean "${meant}"?` : `one of ${KINDS.join(', ')}`;
    return { defects: [{ code: 'unknown-kind', message: `no config entry is of kind ${JSON.stringify(kind)}`, path: [kindKey], hint }] };
  }
  const parsed = (parsers.get(kind) as Parser<ConfigEntry>)(input);
  if (parsed.value === undefined) return parsed;
  const defects = checkConfigEntry(parsed.value);
  return defects.length > 0 ? { defects } : parsed;
}

const KINDS = Object.keys(configEntrySchemas);
