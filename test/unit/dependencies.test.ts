import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(repository + file, 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
const [runtime = '', build = ''] = read('docs/dependencies.md').split('## To build and test');

const named = (text: string) =>
  [...text.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name)).sort();

test.each([
  ['run time', runtime, manifest.dependencies],
  ['build', build, manifest.devDependencies],
])('docs/dependencies.md gives a reason for every package needed at %s, and for no other', (_when, text, packages) => {
  expect(named(text)).toEqual(Object.keys(packages).sort());
});

test('versions are exact', () => {
  for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies })) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

test('docs/licences.md is what the lock file says, and no licence asks for more than a notice', () => {
  const run = spawnSync(process.execPath, [`${repository}scripts/list-licences.mjs`, '--check'], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  const licences = [...read('docs/licences.md').matchAll(/^\| [^|]+ \| \d[^|]* \| ([^|]+) \|$/gm)].map(([, licence]) => licence);
  expect(licences.length).toBeGreaterThan(20);
  expect([...new Set(licences)].filter((licence) => !['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD'].includes(licence ?? ''))).toEqual([]);
});
