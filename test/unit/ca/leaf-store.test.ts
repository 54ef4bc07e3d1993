import { describe, expect, onTestFinished, test } from 'vitest';
import type { CaChange, Leaf } from '../../../src/ca/authority.ts';
import { LeafStore, type LeafStoreOptions } from '../../../src/ca/leaf-store.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A CA without cryptography: what matters here is when it is asked. */
class FakeCa {
  signerId = 'r1';
  failing = false;
  readonly issued: string[] = [];
  readonly #clock: ManualClock;
  readonly #listeners = new Set<(change: CaChange) => void>();

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async issueLeaf(service: string): Promise<Leaf> {
    const rootId = this.signerId;
    await Promise.resolve();
    if (this.failing) throw new Error('the disk is full');
    this.issued.push(service);
    const now = this.#clock.now();
    const serial = String(this.issued.length);
    return { service, rootId, serial, notBefore: now, notAfter: now + 72 * HOUR, spiffeId: this.spiffeIdOf(service), certificateChain: '', privateKey: '' };
  }

  trusts(rootId: string): boolean {
    return rootId !== 'gone';
  }

  spiffeIdOf(service: string): string {
    return `spiffe://td/${service}`;
  }

  onChange(listener: (change: CaChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  switchSigner(id: string): void {
    this.signerId = id;
    for (const listener of this.#listeners) listener('signer');
  }
}

function bench(random = () => 0, archive?: LeafStoreOptions['archive']) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const ca = new FakeCa(clock);
  const errors: object[] = [];
  const store = new LeafStore({ ca, clock, random, ...(archive ? { archive } : {}), logger: { ...silentLogger, error: (fields) => errors.push(fields) } });
  onTestFinished(() => store.close());
  const renewed: string[] = [];
  store.onRenewed((service) => renewed.push(service));
  /** Turns the clock in steps, letting every renewal finish. */
  const pass = async (ms: number, stepMs = MINUTE) => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(left, stepMs));
      await store.settled();
    }
  };
  return { clock, ca, store, errors, renewed, pass };
}

test('one leaf per service, however many ask at once', async () => {
  const { ca, store, renewed } = bench();
  expect(store.get('api')).toBeUndefined();
  const leaves = await Promise.all([store.ensure('api'), store.ensure('api'), store.ensure('web')]);
  expect(leaves[0]).toBe(leaves[1]);
  expect(store.get('api')).toBe(leaves[0]);
  expect(await store.ensure('api')).toBe(leaves[0]);
  expect(ca.issued).toEqual(['api', 'web']);
  expect(renewed).toEqual([]);
});

describe('renewal', () => {
  test.each([
    [0, 0.6],
    [0.5, 0.75],
    [0.999, 0.9],
  ])('with chance %d at %d of its life', async (chance, part) => {
    const { store, renewed, pass } = bench(() => chance);
    const first = await store.ensure('api');
    await pass(72 * HOUR * part - 10 * MINUTE, 10 * MINUTE);
    expect(store.get('api')).toBe(first);
    await pass(11 * MINUTE);
    expect(store.get('api')).not.toBe(first);
    expect(renewed).toEqual(['api']);
  });

  test('goes on for ever', async () => {
    const { store, renewed, pass } = bench();
    await store.ensure('api');
    await pass(30 * 24 * HOUR, HOUR);
    expect(renewed.length).toBeGreaterThan(14);
    expect(store.get('api')).toBeDefined();
  });

  test('a new signer renews all, spread over five seconds', async () => {
    let chance = 0;
    const { ca, store, renewed, pass } = bench(() => {
      chance += 0.1;
      return chance % 1;
    });
    const services = ['a', 'b', 'c', 'd'];
    await Promise.all(services.map((service) => store.ensure(service)));
    ca.switchSigner('r2');
    expect(renewed).toEqual([]);
    await pass(3 * SECOND, 100);
    expect(renewed.length).toBeGreaterThan(0);
    expect(renewed.length).toBeLessThan(4);
    await pass(2 * SECOND, 100);
    expect([...renewed].sort()).toEqual(services);
    expect(services.map((service) => store.get(service)?.rootId)).toEqual(['r2', 'r2', 'r2', 'r2']);
    await pass(HOUR);
    expect(renewed).toHaveLength(4);
  });

  test('a leaf that the old signer was just making is made again', async () => {
    const { ca, store, pass } = bench();
    const pending = store.ensure('api');
    ca.switchSigner('r2');
    expect((await pending).rootId).toBe('r1');
    await pass(5 * SECOND, SECOND);
    expect(store.get('api')?.rootId).toBe('r2');
  });

  test('failures are tried again, ever more rarely, while the old leaf is good; after that there is none', async () => {
    const { ca, store, errors, renewed, pass } = bench();
    const first = await store.ensure('api');
    await pass(43 * HOUR);
    ca.failing = true;
    await pass(HOUR);
    expect(errors.length).toBeGreaterThan(8);
    expect(errors.length).toBeLessThan(40);
    expect(errors[0]).toMatchObject({ service: 'api', error: 'the disk is full' });
    expect(store.get('api')).toBe(first);
    await pass(29 * HOUR, 5 * MINUTE);
    expect(store.get('api')).toBeUndefined();
    ca.failing = false;
    await pass(6 * MINUTE);
    expect(store.get('api')?.serial).toBe('2');
    expect(renewed).toEqual(['api']);
  });
});

test('a first failure is told to the caller, and the leaf comes later', async () => {
  const { ca, store, renewed, pass } = bench();
  ca.failing = true;
  await expect(store.ensure('api')).rejects.toThrow('the disk is full');
  ca.failing = false;
  await pass(SECOND, 100);
  expect(store.get('api')).toBeDefined();
  expect(renewed).toEqual(['api']);
});

test('services that are no longer in use are forgotten', async () => {
  const { ca, store, renewed, pass } = bench();
  await Promise.all([store.ensure('api'), store.ensure('web')]);
  const pending = store.ensure('late');
  store.retainOnly(new Set(['api']));
  await pending;
  expect([store.get('api'), store.get('web'), store.get('late')].map(Boolean)).toEqual([true, false, false]);
  await pass(100 * HOUR, HOUR);
  expect(new Set(renewed)).toEqual(new Set(['api']));
  expect(ca.issued.filter((service) => service !== 'api')).toHaveLength(2);
});

describe('leaves kept from an earlier run', () => {
  const now = Date.UTC(2026, 0, 1);
  const kept: Leaf = {
    service: 'api',
    spiffeId: 'spiffe://td/api',
    rootId: 'r1',
    serial: 'kept',
    notBefore: now - HOUR,
    notAfter: now + 71 * HOUR,
    certificateChain: '',
    privateKey: '',
  };

  async function ensureWith(leaf: Leaf | undefined): Promise<{ serial: string; saved: string[]; pass: (ms: number) => Promise<void>; store: LeafStore }> {
    const saved: string[] = [];
    const archive = { load: () => leaf, save: (one: Leaf) => saved.push(one.serial), prune: () => {} };
    const { store, pass } = bench(() => 0, archive);
    return { serial: (await store.ensure('api')).serial, saved, pass, store };
  }

  test('are served again, and renewed when their own time has come', async () => {
    const { serial, saved, pass, store } = await ensureWith(kept);
    expect([serial, saved]).toEqual(['kept', []]);
    await pass(43 * HOUR);
    expect([store.get('api')?.serial, saved]).toEqual(['1', ['1']]);
  });

  test('of a root that no longer signs are renewed soon', async () => {
    const { serial, pass, store } = await ensureWith({ ...kept, rootId: 'r0' });
    expect(serial).toBe('kept');
    await pass(5 * SECOND);
    expect(store.get('api')?.serial).toBe('1');
  });

  test.each<[string, Leaf | undefined]>([
    ['missing', undefined],
    ['expired', { ...kept, notAfter: now }],
    ['of a root that is gone', { ...kept, rootId: 'gone' }],
    ['of another identity', { ...kept, spiffeId: 'spiffe://other/api' }],
  ])('%s: a new one', async (_, leaf) => {
    expect(await ensureWith(leaf)).toMatchObject({ serial: '1', saved: ['1'] });
  });
});

test('nothing is issued after close', async () => {
  const { ca, store, pass } = bench();
  await store.ensure('api');
  store.close();
  await pass(100 * HOUR, HOUR);
  expect(ca.issued).toEqual(['api']);
});
