import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type EnvoyVersion, OLDEST_ENVOY, TRIED_ENVOYS, untriedEnvoy } from '../../../src/envoy/tried-versions.ts';

test.each<[EnvoyVersion, boolean | undefined]>([
  [[0, 99, 0], false],
  [[1, 9, 0], false],
  [[1, 32, 99], false],
  [[1, 33, 0], true],
  [[1, 35, 99], true],
  [[1, 36, 0], undefined],
  [[1, 38, 7], undefined],
  [[1, 40, 99], undefined],
  [[1, 41, 0], true],
  [[1, 100, 0], true],
  [[2, 0, 0], true],
])('%j', (version, served) => {
  const untried = untriedEnvoy(version);
  expect(untried?.served).toBe(served);
  if (untried) expect(untried.reason).toContain(`Envoy ${version.join('.')} is `);
});

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

test('what is promised is what the tests run on: the oldest and the newest Envoy that they fetch', () => {
  const release = JSON.parse(read('scripts/envoy-release.json')) as Record<'default' | 'newest' | 'oldest_supported', string>;
  const minor = (version: string) => version.split('.').slice(0, 2).join('.');
  expect(TRIED_ENVOYS).toBe(`${minor(release.default)} to ${minor(release.newest)}`);
  expect([OLDEST_ENVOY, release.oldest_supported]).toEqual([minor(release.default), `${minor(release.default)}.0`]);
});

test('and what the documentation promises', () => {
  for (const file of ['docs/cli.md', 'docs/operations.md', 'docs/differences-from-consul.md']) expect(read(file), file).toContain(TRIED_ENVOYS);
});
