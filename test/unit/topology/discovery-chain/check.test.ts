import { expect, test } from 'vitest';
import { checkDiscoveryChains } from '../../../../src/topology/discovery-chain/check.ts';
import { entriesOf } from './entries.ts';

test('reports broken chains with the entry they stand in', () => {
  const entries = entriesOf(
    { kind: 'service-splitter', name: 'web', splits: [{ weight: 100 }] },
    { kind: 'service-resolver', name: 'api', default_subset: 'v2', subsets: { v1: {} } },
    { kind: 'service-resolver', name: 'fine', subsets: { v1: {} } },
  );
  expect(checkDiscoveryChains(entries, 'dc1')).toMatchObject([
    { code: 'chain-needs-http', place: { object: 'service-splitter/web' } },
    { code: 'unknown-subset', place: { object: 'service-resolver/api' } },
  ]);
});
