import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');

/** A code has at least two words, which tells it from zod's `code: 'custom'` and the system's `ENOENT`. */
const CODE = /\bcode: '([a-z0-9]+(?:-[a-z0-9]+)+)'/g;

function codesInSource(): string[] {
  const files = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.includes('generated'),
  );
  return files.flatMap((file) => [...readFileSync(path.join(root, 'src', file), 'utf8').matchAll(CODE)].map(([, code = '']) => code));
}

test('docs/problems.md lists every code there is, and no other, once', () => {
  const listed = [...readFileSync(path.join(root, 'docs/problems.md'), 'utf8').matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, code = '']) => code);
  expect([...listed].sort()).toEqual([...new Set(codesInSource())].sort());
});
