// Writes docs/licences.md: the licence of every package that an installed adsum consists of, from package-lock.json.
//   node scripts/list-licences.mjs [--check]      --check: only say whether the page is right
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const page = path.join(root, 'docs/licences.md');
const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));

const installed = Object.entries(packages)
  .filter(([where, { dev, devOptional }]) => where !== '' && !dev && !devOptional)
  .map(([where, { version, license = 'unknown' }]) => ({ name: where.slice(where.lastIndexOf('node_modules/') + 13), version, license }))
  .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));

const text = [
  '# Licences',
  '',
  `adsum is under the Apache License 2.0. These ${installed.length} packages are installed with it; the page is made from the lock file: \`npm run licences\`.`,
  '',
  '| package | version | licence |',
  '| --- | --- | --- |',
  ...installed.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`),
  '',
].join('\n');

if (process.argv.includes('--check')) {
  if (readFileSync(page, 'utf8') !== text) {
    process.stderr.write('docs/licences.md is not what package-lock.json says: npm run licences\n');
    process.exit(1);
  }
} else writeFileSync(page, text);
