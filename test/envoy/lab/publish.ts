import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { publish, publishAdsum } from '../../../scripts/published-program.mjs';
import { whyNoLab } from './envoy-binary.ts';

/** As for the demo: not /run, which is often mounted noexec, and not /tmp, where others may write. */
const parent = '/var/lib';
const prefix = 'adsum-lab-';

/** Once for all test files: copies what the lab's users run to where they reach it, and removes it in the end. */
export default function publishPrograms(): (() => void) | undefined {
  if (whyNoLab()) return undefined;
  removeLeftovers();
  const folder = mkdtempSync(path.join(parent, `${prefix}${process.pid}-`));
  chmodSync(folder, 0o755);
  publishAdsum(folder);
  publish(fileURLToPath(new URL('./agent.mjs', import.meta.url)), path.join(folder, 'agent.mjs'));
  process.env.ADSUM_LAB_PROGRAMS = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** Of runs that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(parent)) {
    const owner = name.startsWith(prefix) ? name.slice(prefix.length).split('-')[0] : undefined;
    if (owner && !existsSync(`/proc/${owner}`)) rmSync(path.join(parent, name), { recursive: true, force: true });
  }
}
