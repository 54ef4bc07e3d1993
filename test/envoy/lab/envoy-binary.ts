import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type EnvoyBinary, findDefaultEnvoy, findEnvoy, findOnPath } from '../../../scripts/envoy-binary.mjs';
import { whyNoNamespaces } from './network.ts';

export { type EnvoyBinary, findDefaultEnvoy, findEnvoy, findOnPath, release } from '../../../scripts/envoy-binary.mjs';

/** The command a user would run; built before the tests. ADSUM_PROGRAM names another build. */
export const adsumProgram = process.env.ADSUM_PROGRAM ?? fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/** What keeps the tests with real Envoys from running here, or undefined. */
export function whyNoLab(version?: string): string | undefined {
  for (const command of ['ip', 'setpriv', 'iptables-restore', 'ip6tables-restore', 'tcpdump']) {
    if (!findOnPath(command)) return `${command} is not installed`;
  }
  if (!existsSync(adsumProgram)) return 'dist/main.js is not built';
  if (!(version ? findEnvoy(version) : findDefaultEnvoy())) return `Envoy ${version ?? ''} is not here: node scripts/prepare-machine.mjs`;
  return whyNoNamespaces();
}

/** The Envoy to test with; call only when `whyNoLab` found nothing. */
export function labEnvoy(version?: string): EnvoyBinary {
  const found = version ? findEnvoy(version) : findDefaultEnvoy();
  if (!found) throw new Error('no Envoy here');
  return found;
}
