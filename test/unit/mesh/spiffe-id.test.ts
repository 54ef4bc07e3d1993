import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const SRC = path.resolve(import.meta.dirname, '../../../src');

test('SPIFFE IDs, and patterns for them, are formed in one place', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && !file.startsWith('proto/generated'));
  const forming = files.filter((file) =>
    /`[^`]*spiffe:\/\/|\/ns\/default\/dc\//.test(
      readFileSync(path.join(SRC, file), 'utf8')
        .replace(/^\s*(\/\*)?\*.*$/gm, '')
        .replace(/\/\*\*.*?\*\//gs, ''),
    ),
  );
  // the first is Consul's own expression, which takes the parts of any caller's ID apart
  expect(forming.sort()).toEqual(['envoy/forwarded-client-cert.ts', 'mesh/spiffe-id.ts']);
});
