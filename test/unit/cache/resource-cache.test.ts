import { expect, test } from 'vitest';
import { collectionVersion } from '../../../src/cache/collection-version.ts';
import { groupByType, ResourceCache, succeed } from '../../../src/cache/resource-cache.ts';

test('equal content is one object, whatever the order of its fields; other content, type or name is another', () => {
  const cache = new ResourceCache();
  const one = cache.intern('cluster', 'a', { name: 'a', alt_stat_name: 'x' });
  expect(cache.intern('cluster', 'a', { alt_stat_name: 'x', name: 'a' })).toBe(one);
  expect(cache.intern('cluster', 'a', { name: 'a', alt_stat_name: 'y' })).not.toBe(one);
  expect(cache.size).toBe(2);
});

test('the version is the content, so another process finds the same', () => {
  const body = { name: 'a', alt_stat_name: 'x' };
  const first = new ResourceCache().intern('cluster', 'a', body);
  const second = new ResourceCache().intern('cluster', 'a', { ...body });
  expect(first.version).toBe(second.version);
  expect(first.version).toMatch(/^[0-9a-f]{32}$/);
});

test('a cluster fed by EDS tells the name of its assignment', () => {
  const cache = new ResourceCache();
  expect(cache.intern('cluster', 'a', { name: 'a', type: 'STATIC' }).endpoints).toBeUndefined();
  expect(cache.intern('cluster', 'a', { name: 'a', type: 'EDS' }).endpoints).toBe('a');
  expect(cache.intern('cluster', 'a', { name: 'a', type: 'EDS', eds_cluster_config: { service_name: 's' } }).endpoints).toBe('s');
});

test('a body that does not fit its message is an error that says where', () => {
  expect(() => new ResourceCache().intern('cluster', 'a', { name: 'a', nonsense: 1 })).toThrow('nonsense');
});

test('a snapshot keeps the very map of a type without a change, and itself when nothing changed', () => {
  const cache = new ResourceCache();
  const a = cache.intern('cluster', 'a', { name: 'a' });
  const l = cache.intern('listener', 'l', { name: 'l' });
  const first = groupByType([
    ['cluster', a],
    ['listener', l],
  ]);
  expect(
    succeed(
      first,
      groupByType([
        ['listener', l],
        ['cluster', a],
      ]),
    ),
  ).toBe(first);
  const second = succeed(first, groupByType([['cluster', a]]));
  expect(second.cluster).toBe(first.cluster);
  expect(second.listener.size).toBe(0);
  expect(second.secret).toBe(first.secret);
});

test('the version of a type does not depend on the order of its resources', () => {
  const cache = new ResourceCache();
  const [a, b] = ['a', 'b'].map((name) => ['cluster', cache.intern('cluster', name, { name })] as const);
  if (!a || !b) throw new Error('two clusters');
  expect(collectionVersion(groupByType([a, b]).cluster)).toBe(collectionVersion(groupByType([b, a]).cluster));
  expect(collectionVersion(groupByType([a]).cluster)).not.toBe(collectionVersion(groupByType([a, b]).cluster));
});
