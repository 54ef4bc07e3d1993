import type { Instance } from '../../mesh/instance.ts';
import type { Problem } from '../../mesh/problem.ts';
import type { ConfigEntry } from '../../mesh/schema/config-entry.ts';

/** Consul tells nobody how an agent makes a check, so `expose.checks` has nothing to open here. */
export function checkExposedChecks(instances: readonly Instance[], entries: readonly ConfigEntry[]): Problem[] {
  const asking = [
    ...instances.filter(({ proxy }) => proxy?.expose?.checks).map(({ place }) => place),
    ...entries.filter((entry) => (entry.kind === 'service-defaults' || entry.kind === 'proxy-defaults') && entry.expose?.checks).map(({ place }) => place),
  ];
  return asking.map((place) => ({
    code: 'expose-checks-unknown',
    severity: 'warning' as const,
    message: 'expose.checks has no effect: Consul does not say which paths its agents check',
    ...(place ? { place } : {}),
    hint: 'name the paths in expose.paths, and the listener port in the check',
  }));
}
