import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ResourceType } from '../../src/cache/resource.ts';
import type { State } from '../protocol/world.ts';
import { ModelEnvoy, type Op } from './xds-model-envoy.ts';

const clusterNames = ['A', 'B', 'C'];

/** A consistent world: every listener has its route, every cluster of EDS its endpoints, and both send to clusters that exist. */
function worlds(bad: boolean): fc.Arbitrary<State> {
  const refused = bad ? ['bad', 'unreadable'] : [];
  const target = fc.nat({ max: 5 });
  const endpoint = fc.constantFrom('1', '2', ...refused.slice(1));
  return fc
    .record({
      clusters: fc.dictionary(fc.constantFrom(...clusterNames), fc.constantFrom('1', '2', 'eds1', 'eds2', ...refused), {
        minKeys: 1,
        maxKeys: 3,
        noNullPrototype: true,
      }),
      listeners: fc.dictionary(fc.constantFrom('L', 'M'), fc.record({ listener: target, route: target, refused: fc.nat({ max: 5 }) }), {
        noNullPrototype: true,
      }),
      endpoints: fc.record({ A: endpoint, B: endpoint, C: endpoint }),
      secret: fc.record({ leaf: fc.constantFrom('1', '2', ...refused), ca: fc.constantFrom('1', '2') }),
    })
    .map(({ clusters, listeners, endpoints, secret }) => {
      const there = Object.keys(clusters);
      const to = (index: number) => there[index % there.length] ?? '';
      const fed = Object.entries(endpoints).filter(([name]) => clusters[name]?.startsWith('eds'));
      const parents = Object.entries(listeners);
      return {
        cluster: clusters,
        endpoint: Object.fromEntries(fed),
        listener: Object.fromEntries(parents.map(([name, one]) => [name, bad && one.refused < 2 ? (refused[one.refused] ?? '') : to(one.listener)])),
        route: Object.fromEntries(parents.map(([name, one]) => [name, bad && one.refused === 2 ? 'bad' : to(one.route)])),
        secret,
      };
    });
}

const count = fc.integer({ min: 1, max: 4 });
const moves: fc.Arbitrary<Op>[] = [
  fc.record({ op: fc.constant('write' as const), count }),
  fc.record({ op: fc.constant('to-client' as const), count }),
  fc.record({ op: fc.constant('to-server' as const), count }),
  fc.constant({ op: 'calm' as const }),
];
const orderly = fc.oneof(...moves, ...moves, fc.record({ op: fc.constant('world' as const), state: worlds(false) }));
const chaos = fc.oneof(
  ...moves,
  ...moves,
  fc.record({ op: fc.constant('world' as const), state: worlds(true) }),
  fc.record({ op: fc.constant('advance' as const), ms: fc.constantFrom(100, 400, 2000, 6000) }),
  fc.constant({ op: 'reconnect' as const }),
  fc.record({ op: fc.constant('ask-again' as const), name: fc.constantFrom('leaf', 'ca') }),
);

/** What the client ends up with, as a world. */
function outcome(client: ModelEnvoy): State {
  const types: readonly ResourceType[] = ['secret', 'cluster', 'endpoint', 'listener', 'route'];
  return Object.fromEntries(types.map((type) => [type, Object.fromEntries(Array.from(client.has.get(type) ?? [], ([name, { tag }]) => [name, tag]))]));
}

function runTo(variant: 'delta' | 'sotw', strict: boolean, ops: readonly Op[], last: State): State {
  const client = new ModelEnvoy(variant, strict);
  for (const op of ops) client.run(op);
  client.run({ op: 'world', state: last });
  client.settle();
  expect([...client.warming], 'clusters that warm for ever').toEqual([]);
  return outcome(client);
}

describe.each(['delta', 'sotw'] as const)('%s', (variant) => {
  test('a client that answers in its own time never uses what is not there, and ends with the latest', () => {
    fc.assert(
      fc.property(fc.array(orderly, { maxLength: 60 }), worlds(false), (ops, last) => {
        expect(runTo(variant, true, ops, last)).toEqual(last);
      }),
      { numRuns: 300 },
    );
  });

  test('a client that refuses, stalls and reconnects ends with the latest, and is told nothing twice', () => {
    fc.assert(
      fc.property(fc.array(chaos, { maxLength: 60 }), worlds(false), (ops, last) => {
        expect(runTo(variant, false, ops, last)).toEqual(last);
      }),
      { numRuns: 300 },
    );
  });
});

test('delta and state of the world come to the same', () => {
  fc.assert(
    fc.property(fc.array(chaos, { maxLength: 40 }), worlds(false), (ops, last) => {
      expect(runTo('delta', false, ops, last)).toEqual(runTo('sotw', false, ops, last));
    }),
    { numRuns: 100 },
  );
});
