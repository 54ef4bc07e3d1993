import { createHash } from 'node:crypto';
import type { CachedResource, ResourcesByName } from './resource.ts';

const known = new WeakMap<ResourcesByName, string>();

/** The version of all resources of a type together; like theirs, the same after a restart and on every replica. */
export function collectionVersion(resources: ResourcesByName): string {
  let version = known.get(resources);
  if (version === undefined) {
    version = versionOf(resources.values());
    known.set(resources, version);
  }
  return version;
}

/** The version of some resources together, whatever their order. */
export function versionOf(resources: Iterable<CachedResource>): string {
  const lines = Array.from(resources, ({ name, version }) => `${name}\0${version}\n`).sort();
  const hash = createHash('sha256');
  for (const line of lines) hash.update(line);
  return hash.digest('hex').slice(0, 32);
}
