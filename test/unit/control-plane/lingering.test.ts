import { expect, test } from 'vitest';
import type { CachedResource, ResourceType, Snapshot } from '../../../src/cache/resource.ts';
import { groupByType, succeed } from '../../../src/cache/resource-cache.ts';
import { LINGER_MS, withLingering } from '../../../src/control-plane/lingering.ts';

const known = new Map<string, CachedResource>();
function resource(name: string, endpoints?: string): CachedResource {
  const made = known.get(name) ?? { name, version: name, bytes: new Uint8Array(), ...(endpoints ? { endpoints } : {}) };
  known.set(name, made);
  return made;
}
/** `api` is a cluster of that name with its endpoints; `local_app` has none. */
function snapshot(clusters: readonly string[], previous?: Snapshot): Snapshot {
  const resources = clusters.flatMap((name): [ResourceType, CachedResource][] =>
    name === 'local_app'
      ? [['cluster', resource(name)]]
      : [
          ['cluster', resource(name, name)],
          ['endpoint', resource(`${name}`)],
        ],
  );
  return succeed(previous, groupByType(resources));
}
const names = ({ cluster, endpoint }: Snapshot) => [[...cluster.keys()].sort(), [...endpoint.keys()].sort()];

test('a cluster that is no longer wanted stays with its endpoints while connections drain, then goes', () => {
  const held = snapshot(['local_app', 'api', 'db']);
  const first = withLingering(snapshot(['local_app', 'db'], held), held, new Map(), 1000);
  expect(names(first.snapshot)).toEqual([
    ['api', 'db', 'local_app'],
    ['api', 'db'],
  ]);
  expect(first.snapshot).toBe(held); // nothing to send

  const later = withLingering(snapshot(['local_app', 'db'], first.snapshot), first.snapshot, first.leaving, 1000 + LINGER_MS - 1);
  expect(later.snapshot).toBe(held);
  const gone = withLingering(snapshot(['local_app', 'db'], later.snapshot), later.snapshot, later.leaving, 1000 + LINGER_MS);
  expect(names(gone.snapshot)).toEqual([['db', 'local_app'], ['db']]);
  expect(gone.leaving.size).toBe(0);
});

test('one that comes back in time was never gone, and may leave again for the full time', () => {
  const held = snapshot(['api']);
  const denied = withLingering(snapshot([], held), held, new Map(), 0);
  const allowed = withLingering(snapshot(['api'], denied.snapshot), denied.snapshot, denied.leaving, 10);
  expect(allowed.snapshot).toBe(held);
  expect(allowed.leaving.size).toBe(0);
});

test('what is not a cluster of endpoints goes at once', () => {
  const held = snapshot(['local_app', 'api']);
  expect(names(withLingering(snapshot(['api'], held), held, new Map(), 0).snapshot)).toEqual([['api'], ['api']]);
});
