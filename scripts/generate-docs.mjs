// Writes docs/config-entries/ from the schemas; needs `npm run build` before. A test compares the pages with the schemas.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { configEntryPages } from '../dist/mesh/schema/entry-page.js';

const folder = path.resolve(import.meta.dirname, '../docs/config-entries');
const pages = configEntryPages();

mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(path.join(folder, name));
for (const [name, text] of pages) writeFileSync(path.join(folder, name), text);
console.log(`${pages.size} pages in ${folder}`);
