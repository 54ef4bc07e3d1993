import type { CachedResource, ResourcesByName, Snapshot } from '../cache/resource.ts';

/**
 * How long a cluster stays after nothing leads to it any more, in milliseconds: as long as `adsum envoy` lets connections drain. Taking it away
 * at once would cut them, and a deny that is taken back within this time costs Envoy no new cluster.
 */
export const LINGER_MS = 30_000;

/** When each cluster that is no longer wanted goes, by name. Milliseconds since the epoch. */
export type Leaving = ReadonlyMap<string, number>;

/**
 * `wanted`, and with it the clusters of `held` that are on their way out, each with its endpoints as they were last.
 * @returns the snapshot to serve, and who leaves when
 */
export function withLingering(wanted: Snapshot, held: Snapshot | undefined, leaving: Leaving, now: number): { snapshot: Snapshot; leaving: Leaving } {
  if (!held || (leaving.size === 0 && keepsClusters(held.cluster, wanted.cluster))) return { snapshot: wanted, leaving: NOBODY };
  const next = new Map<string, number>();
  const clusters = new Map<string, CachedResource>(wanted.cluster);
  const endpoints = new Map<string, CachedResource>(wanted.endpoint);
  for (const [name, cluster] of held.cluster) {
    if (wanted.cluster.has(name) || cluster.endpoints === undefined) continue; // only clusters of other services: they carry connections
    const until = leaving.get(name) ?? now + LINGER_MS;
    if (until <= now) continue;
    next.set(name, until);
    clusters.set(name, cluster);
    const assignment = held.endpoint.get(cluster.endpoints);
    if (assignment && !endpoints.has(assignment.name)) endpoints.set(assignment.name, assignment);
  }
  if (next.size === 0) return { snapshot: wanted, leaving: next };
  const cluster = settled(held.cluster, clusters);
  const endpoint = settled(held.endpoint, endpoints);
  const { secret, listener, route } = wanted;
  const unchanged = cluster === held.cluster && endpoint === held.endpoint && secret === held.secret && listener === held.listener && route === held.route;
  return { snapshot: unchanged ? held : { ...wanted, cluster, endpoint }, leaving: next };
}

const NOBODY: Leaving = new Map();

function keepsClusters(held: ResourcesByName, wanted: ResourcesByName): boolean {
  if (held === wanted) return true;
  for (const name of held.keys()) if (!wanted.has(name)) return false;
  return true;
}

/** The very same map while nothing differs: streams then need not compare. */
function settled(held: ResourcesByName, now: ResourcesByName): ResourcesByName {
  return held.size === now.size && [...now].every(([name, resource]) => held.get(name) === resource) ? held : now;
}
