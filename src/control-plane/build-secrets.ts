import { buildCallerSans } from '../envoy/build-resources.ts';
import type { EnvoyResource } from '../envoy/resource.ts';
import { buildCallersSecret, buildLeafSecret, buildRootsSecret } from '../envoy/secret.ts';
import type { ProxyView } from '../topology/proxy-view.ts';

/** The secrets of a proxy. Without a leaf its listeners and clusters wait for one, and refuse meanwhile. */
export function buildSecrets(view: ProxyView, roots: readonly string[], leaf?: { certificateChain: string; privateKey: string }): EnvoyResource[] {
  const sans = buildCallerSans(view);
  const callers = sans ? [buildCallersSecret(roots, sans)] : [];
  return [buildRootsSecret(roots), ...callers, ...(leaf ? [buildLeafSecret(leaf)] : [])];
}
