import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type EnvoyBinary, findDefaultEnvoy, findEnvoy, findOnPath } from '../../../scripts/envoy-binary.mjs';
import { executableFor } from '../../../scripts/published-program.mjs';
import { appUid, proxyUid, whyNoNamespaces } from './network.ts';

export { type EnvoyBinary, findDefaultEnvoy, findEnvoy, findOnPath, release } from '../../../scripts/envoy-binary.mjs';

/** Where publish.ts put what users other than root run; undefined where no lab can be. */
const programs = process.env.ADSUM_LAB_PROGRAMS;

/** A file from there. */
export function published(name: string): string | undefined {
  return programs && path.join(programs, name);
}

/** The command a user would run; built before the tests. ADSUM_PROGRAM names another build, which every user must be able to read. */
export const adsumProgram = process.env.ADSUM_PROGRAM ?? published('dist/main.js') ?? fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/** Node, for every user of the lab. */
export const labNode = programs ? executableFor(appUid, process.execPath, path.join(programs, 'bin')) : process.execPath;

/** What keeps the tests with real Envoys from running here, or undefined. */
export function whyNoLab(version?: string): string | undefined {
  for (const command of ['ip', 'setpriv', 'iptables-restore', 'ip6tables-restore', 'tcpdump']) {
    if (!findOnPath(command)) return `${command} is not installed`;
  }
  if (!existsSync(adsumProgram)) return 'dist/main.js is not built';
  if (!(version ? findEnvoy(version) : findDefaultEnvoy())) return `Envoy ${version ?? ''} is not here: node scripts/prepare-machine.mjs`;
  return whyNoNamespaces();
}

/** The Envoy to test with, where every user of the lab reaches it; call only when `whyNoLab` found nothing. */
export function labEnvoy(version?: string): EnvoyBinary {
  const found = version ? findEnvoy(version) : findDefaultEnvoy();
  if (!found) throw new Error('no Envoy here');
  return programs ? { ...found, binary: executableFor(proxyUid, found.binary, path.join(programs, 'bin')) } : found;
}
