import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configEntryPages } from '../../../src/mesh/schema/entry-page.ts';
import { configEntryExamples } from '../../../src/mesh/schema/examples.ts';
import { parseConfigEntry } from '../../../src/mesh/schema/parse-config-entry.ts';

const folder = path.resolve(import.meta.dirname, '../../../docs/config-entries');

describe('the reference of config entries', () => {
  test.each(Object.entries(configEntryExamples))('has an example of %s that parses', (kind, example) => {
    const parsed = parseConfigEntry(parse(example));
    expect(parsed.defects).toEqual([]);
    expect(parsed.value?.kind).toBe(kind);
  });

  // Refresh with: npm run build && node scripts/generate-docs.mjs
  test.each([...configEntryPages()])('is up to date: %s', (name, text) => {
    expect(readFileSync(path.join(folder, name), 'utf8')).toBe(text);
  });

  test('has no page too many', () => {
    expect(readdirSync(folder).sort()).toEqual([...configEntryPages().keys()].sort());
  });
});
