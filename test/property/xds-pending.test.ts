import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ResourceType } from '../../src/cache/resource.ts';
import { deltaRules } from '../../src/xds/delta.ts';
import type { XdsRequest } from '../../src/xds/messages.ts';
import { sotwRules } from '../../src/xds/sotw.ts';
import { compareTouched, type Rules, separate, type TypeState, touchAll } from '../../src/xds/type-state.ts';
import { snapshotMaker } from '../protocol/world.ts';

const NAMES = ['a', 'b', 'c', 'd', '*', 'never'];
const names = fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 4 });
const worlds = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2'), { noNullPrototype: true });
const flag = fc.boolean();

const steps = fc.oneof(
  fc.record({ op: fc.constant('request' as const), subscribe: names, unsubscribe: names, answer: fc.constantFrom('', 'ack', 'cannot take a', 'no') }),
  fc.record({ op: fc.constant('world' as const), world: worlds }),
  fc.record({ op: fc.constant('respond' as const), asked: flag, changed: flag, removed: flag }),
  fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(1, 4000) }),
);

/** What is pending, in no order. */
function pendingOf({ pending: { asked, changed, absent, removed } }: TypeState) {
  const sorted = (set: ReadonlySet<string>) => [...set].sort();
  return { asked: sorted(asked), changed: sorted(changed), absent: sorted(absent), removed: sorted(removed) };
}

function keepsUp(rules: Rules, type: ResourceType): void {
  const initial = fc.dictionary(fc.constantFrom('a', 'b', 'gone'), fc.constantFrom('stale'), { noNullPrototype: true });
  fc.assert(
    fc.property(names, initial, fc.array(steps, { maxLength: 40 }), (first, brought, ops) => {
      const snapshot = snapshotMaker();
      const request = (fields: Partial<XdsRequest>): XdsRequest => ({
        type,
        nonce: '',
        subscribe: [],
        unsubscribe: [],
        initialVersions: new Map(),
        version: '',
        ...fields,
      });
      const state = rules.open(request({ subscribe: first, initialVersions: new Map(rules === deltaRules ? Object.entries(brought) : []) }));
      let resources = snapshot({})[type];
      let now = 0;
      let sent = 0;
      for (const step of ops) {
        if (step.op === 'world') resources = snapshot({ [type]: step.world })[type];
        else if (step.op === 'wait') now += step.ms;
        else if (step.op === 'request') {
          const { subscribe, answer } = step;
          const unsubscribe = rules === deltaRules ? step.unsubscribe : [];
          rules.apply(
            state,
            request({ subscribe, unsubscribe, ...(answer && { nonce: String(sent) }), ...(answer !== '' && answer !== 'ack' && { error: answer }) }),
            now,
          );
        } else if (state.resources === resources) rules.respond(state, resources, step, { nonce: String(++sent), now });
        separate(state, now);
        compareTouched(rules, state, resources);
        const kept = pendingOf(state);
        touchAll(state);
        compareTouched(rules, state, resources);
        expect(kept, `after ${JSON.stringify(step)}`).toEqual(pendingOf(state));
      }
    }),
    { numRuns: 400 },
  );
}

describe.each(['cluster', 'endpoint', 'secret'] as const)('%s', (type) => {
  test('delta: what is kept as pending is what comparing everything finds', () => keepsUp(deltaRules, type));
  test('state of the world: what is kept as pending is what comparing everything finds', () => keepsUp(sotwRules, type));
});
