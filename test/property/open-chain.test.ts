import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildCallerSans, buildResources } from '../../src/envoy/build-resources.ts';
import { type Hostile, hostileSettings, withSettings } from './hostile-settings.ts';
import { type Intruder, openChains } from './open-chains.ts';

/**
 * Whatever escape hatches and extensions say, no chain lets in whom intentions deny. `node scripts/fuzz.mjs open-chain` looks longer.
 */
const RUNS = Number(process.env.FUZZ_INPUTS ?? 800);
const SEED = process.env.FUZZ_SEED;

const WEB = 'spiffe://t.consul/ns/default/dc/dc1/svc/web';
const INTRUDERS: readonly Intruder[] = [
  { identity: WEB, method: 'GET', path: '/secret' },
  { identity: undefined, method: 'GET', path: '/secret' },
];

function waysIn(hostile: Hostile): string[] {
  const view = withSettings(hostile);
  const { resources } = buildResources(view, { ipv6: false });
  return INTRUDERS.flatMap((intruder) => openChains(view, resources, intruder, buildCallerSans(view)));
}

describe('the oracle', () => {
  test('sees what is open', () => {
    const view = withSettings({ view: 1, extensions: [], config: {}, upstream: {} });
    const { resources } = buildResources(view, { ipv6: false });
    const opened = resources.map((resource) =>
      resource.name.startsWith('public_listener')
        ? { ...resource, body: JSON.parse(JSON.stringify(resource.body).replaceAll('"rules":{}', '"rules":{"action":"DENY"}')) }
        : resource,
    );
    expect(openChains(view, resources, INTRUDERS[0] as Intruder, undefined)).toEqual([]);
    expect(openChains(view, opened, INTRUDERS[0] as Intruder, undefined)).toEqual(['public_listener:0.0.0.0:21000: HTTP to local_app']);
  });
});

test(`hatches and extensions open nothing, ${RUNS} times`, { timeout: 0 }, () => {
  fc.assert(
    fc.property(hostileSettings, (hostile) => {
      expect(waysIn(hostile)).toEqual([]);
    }),
    { numRuns: RUNS, ...(SEED && { seed: Number(SEED) }) },
  );
});
