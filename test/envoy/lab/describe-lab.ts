import { describe } from 'vitest';
import { whyNoLab } from './envoy-binary.ts';

/** A suite with real Envoys; where it cannot run, its title says why. */
export function describeLab(title: string, suite: () => void, envoyVersion?: string): void {
  const obstacle = whyNoLab(envoyVersion);
  if (obstacle) describe.skip(`${title} (skipped: ${obstacle})`, suite);
  else describe(title, suite);
}
