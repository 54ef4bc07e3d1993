import { buildCallerSans } from '../envoy/build-resources.ts';
import type { EnvoyResource } from '../envoy/resource.ts';
import { buildCallersSecret, buildLeafSecret, buildRootsSecret } from '../envoy/secret.ts';
import type { ProxyView } from '../topology/proxy-view.ts';

/** A certificate with its key, both PEM. */
export interface KeyedChain {
  readonly certificateChain: string;
  readonly privateKey: string;
}

/**
 * The secrets of a proxy. Without a leaf its listeners and clusters wait for one, and refuse meanwhile.
 * @param leaves by the name of their secret
 */
export function buildSecrets(view: ProxyView, roots: readonly string[], leaves: ReadonlyMap<string, KeyedChain>): EnvoyResource[] {
  const sans = buildCallerSans(view);
  const callers = sans ? [buildCallersSecret(roots, sans)] : [];
  return [buildRootsSecret(roots), ...callers, ...[...leaves].map(([name, leaf]) => buildLeafSecret(leaf, name))];
}
