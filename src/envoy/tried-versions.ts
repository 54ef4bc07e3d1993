/** `[1, 36, 4]` */
export type EnvoyVersion = readonly [major: number, minor: number, patch: number];

/**
 * The oldest and the newest minor release of Envoy that adsum's tests run on; scripts/envoy-release.json pins a release of each. Only these
 * are promised: an Envoy passes over fields that it does not know, with a line in its log, and some fields protect a service.
 */
const OLDEST_TRIED = [1, 36] as const;
const NEWEST_TRIED = [1, 40] as const;
/** The oldest that is served all the same, with a warning: the oldest that Consul 1.22 serves. It knows every field that adsum relies on. */
const OLDEST_SERVED = [1, 33] as const;

/** For messages: `1.36 to 1.40`. */
export const TRIED_ENVOYS = `${OLDEST_TRIED.join('.')} to ${NEWEST_TRIED.join('.')}`;
export const OLDEST_ENVOY = OLDEST_TRIED.join('.');

/** Undefined where adsum was tried with this release. What is wrong with it otherwise, for operators, and whether it is served. */
export function untriedEnvoy(version: EnvoyVersion): { readonly served: boolean; readonly reason: string } | undefined {
  const text = version.join('.');
  if (compare(version, OLDEST_SERVED) < 0) {
    return {
      served: false,
      reason: `Envoy ${text} is too old: adsum was tried with ${TRIED_ENVOYS}, and one before ${OLDEST_SERVED.join('.')} may ignore what protects a service`,
    };
  }
  if (compare(version, OLDEST_TRIED) < 0) return { served: true, reason: `Envoy ${text} is older than any that adsum was tried with (${TRIED_ENVOYS})` };
  if (compare(version, NEWEST_TRIED) > 0) return { served: true, reason: `Envoy ${text} is newer than any that adsum was tried with (${TRIED_ENVOYS})` };
  return undefined;
}

/** Patch releases do not count. */
function compare([major, minor]: EnvoyVersion, [otherMajor, otherMinor]: readonly [number, number]): number {
  return major - otherMajor || minor - otherMinor;
}
