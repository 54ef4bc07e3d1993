import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateVirtualIps, NO_VIRTUAL_IPS, type VirtualIpState } from '../../../src/topology/virtual-ips.ts';

const DAY_MS = 86_400_000;
const pinned = new Map<string, string>();
const tiny = { first: '240.0.0.1', last: '240.0.0.2' };

function allocate(state: VirtualIpState, names: string[], options: Partial<Parameters<typeof allocateVirtualIps>[2]> = {}): VirtualIpState {
  return allocateVirtualIps(state, names, { pinned, now: 0, ...options });
}

describe('virtual IPs', () => {
  it('go out in the order of asking, from the beginning of the range', () => {
    expect(allocate(NO_VIRTUAL_IPS, ['web', 'api']).assigned).toEqual({ web: '240.0.0.1', api: '240.0.0.2' });
  });

  it('leave out the pinned ones, and a pin moves whoever has its address', () => {
    const before = allocate(NO_VIRTUAL_IPS, ['web', 'api']);
    const after = allocate(before, ['web', 'api', 'db'], { pinned: new Map([['db', '240.0.0.1']]) });
    expect(after.assigned).toEqual({ api: '240.0.0.2', db: '240.0.0.1', web: '240.0.0.3' });
  });

  it('come back to a service that comes back', () => {
    const two = allocate(NO_VIRTUAL_IPS, ['web', 'api']);
    const one = allocate(two, ['api']);
    expect(one.released).toEqual([{ service: 'web', address: '240.0.0.1', releasedAtMs: 0 }]);
    expect(allocate(one, ['api', 'new', 'web']).assigned).toEqual({ api: '240.0.0.2', new: '240.0.0.3', web: '240.0.0.1' });
  });

  it('are not used again while there are fresh ones, nor before they have rested, nor while somebody may hold them', () => {
    const full = allocate(NO_VIRTUAL_IPS, ['a', 'b'], { range: tiny });
    const freed = allocate(full, ['b'], { range: tiny });
    expect(allocate(freed, ['b', 'c'], { range: tiny, now: 31 * DAY_MS }).assigned).toEqual({ b: '240.0.0.2' });
    expect(allocate(freed, ['b', 'c'], { range: tiny, now: DAY_MS, mayReuse: () => true }).assigned).toEqual({ b: '240.0.0.2' });
    expect(allocate(freed, ['b', 'c'], { range: tiny, now: 31 * DAY_MS, mayReuse: () => true }).assigned).toEqual({ b: '240.0.0.2', c: '240.0.0.1' });
  });

  it('never move, never meet, whatever comes and goes', () => {
    const generations = fc.array(fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 8 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(generations, (steps) => {
        const seen = new Map<string, string>();
        let state = NO_VIRTUAL_IPS;
        for (const names of steps) {
          state = allocate(state, names);
          expect(new Set(Object.values(state.assigned)).size).toBe(names.length);
          for (const [name, address] of Object.entries(state.assigned)) {
            expect(seen.get(address) ?? name).toBe(name);
            seen.set(address, name);
          }
          expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        }
      }),
    );
  });
});
