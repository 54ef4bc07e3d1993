import { X509Certificate } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { Leaf } from '../../../src/ca/authority.ts';
import { type CertificateAuthority, openCertificateAuthority } from '../../../src/ca/certificate-authority.ts';
import { LeafArchive } from '../../../src/ca/leaf-archive.ts';
import { LeafStore } from '../../../src/ca/leaf-store.ts';
import { followClock } from '../../../src/control-plane/follow-clock.ts';
import { StandingProblems } from '../../../src/control-plane/standing-problems.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger as logger } from '../../../src/runtime/logger.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** The time of day is set ahead and back, by a second, a day and 100 days; adsum's CA, its leaves and its disk live through it. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

class World {
  readonly clock = new ManualClock(Date.UTC(2026, 0, 1));
  readonly problems = new StandingProblems(logger);
  readonly dir = temporaryFolder();
  ca!: CertificateAuthority;
  store!: LeafStore;
  #stop = () => {};

  async open(): Promise<this> {
    this.ca = await openCertificateAuthority({ dir: this.dir, datacenter: 'dc1', clock: this.clock, logger, timing: { propagationMs: MINUTE } });
    this.store = new LeafStore({ ca: this.ca, clock: this.clock, logger, random: () => 0.5, archive: new LeafArchive(`${this.dir}/leaves`, logger) });
    this.#stop = followClock({ clock: this.clock, authority: this.ca, leaves: this.store, problems: this.problems });
    await this.store.ensure('web');
    return this;
  }

  close(): void {
    this.#stop();
    this.store.close();
    this.ca.close();
  }

  async restart(): Promise<void> {
    this.close();
    await this.open();
  }

  /** Time passes, and what is being signed gets signed. */
  async run(ms: number): Promise<void> {
    for (const end = this.clock.monotonic() + ms; this.clock.monotonic() < end; ) {
      this.clock.advance(Math.min(ms > HOUR ? 10 * MINUTE : 5 * SECOND, end - this.clock.monotonic()));
      await this.store.settled();
      await new Promise((rested) => setImmediate(rested));
    }
  }

  get leaf(): Leaf {
    return this.store.get('web') as Leaf;
  }

  trustedIds(): string[] {
    return this.ca.status().map(({ id }) => id);
  }

  expectSound(): void {
    const now = this.clock.now();
    expect(this.leaf, 'a leaf').toBeDefined();
    expect(this.leaf.notBefore).toBeLessThanOrEqual(now);
    expect(this.leaf.notAfter).toBeGreaterThan(now);
    const signer = this.ca.status().find(({ id }) => id === this.leaf.rootId);
    expect(signer, 'the root that signed it').toBeDefined();
    expect(signer?.notBefore).toBeLessThanOrEqual(now);
    expect(signer?.notAfter).toBeGreaterThan(now);
    expect(new X509Certificate(this.leaf.certificateChain).verify(new X509Certificate(signer?.certificate ?? '').publicKey)).toBe(true);
  }
}

async function world(): Promise<World> {
  const made = await new World().open();
  onTestFinished(() => made.close());
  return made;
}

const JUMPS: [string, number][] = [
  ['a minute and a half', 90 * SECOND],
  ['an hour', HOUR],
  ['a day', DAY],
  ['3 days', 3 * DAY],
  ['100 days', 100 * DAY],
  ['11 years, past the end of the root', 11 * 365 * DAY],
];

test.each(JUMPS)('%s ahead, back, and both with a restart between', async (_, ms) => {
  for (const steps of [[ms], [-ms], [ms, -ms], [-ms, ms], [ms, -2 * ms]]) {
    for (const restarts of [false, true]) {
      const one = await world();
      for (const step of steps) {
        one.clock.jump(step);
        if (restarts) await one.restart();
        await one.run(3 * MINUTE);
        one.expectSound();
      }
    }
  }
});

test('what was renewed while the clock was ahead is issued anew at once when it comes back', async () => {
  const one = await world();
  one.clock.jump(2.5 * DAY);
  await one.run(6 * MINUTE);
  const ahead = one.leaf;
  one.clock.jump(-2.5 * DAY);
  expect(one.store.get('web')).toBeUndefined();
  await one.run(10 * SECOND);
  one.expectSound();
  expect(one.leaf.serial).not.toBe(ahead.serial);
});

test('and the one on the disk is not taken after a restart', async () => {
  const one = await world();
  one.clock.jump(100 * DAY);
  await one.run(2 * MINUTE);
  one.clock.jump(-100 * DAY);
  await one.restart();
  one.expectSound();
});

test.each([DAY, 100 * DAY, -DAY, -100 * DAY])('a retiring root lives as long as the leaves that it signed, though the clock is set by %d ms', async (ms) => {
  const one = await world();
  const old = one.leaf.rootId;
  await one.ca.rotate();
  await one.run(5 * MINUTE);
  expect(one.leaf.rootId).not.toBe(old);
  one.clock.jump(ms);
  await one.run(2 * MINUTE);
  expect(one.trustedIds()).toContain(old);
  await one.restart();
  expect(one.trustedIds()).toContain(old);
  one.clock.jump(-ms);
  await one.run(71 * HOUR);
  expect(one.trustedIds()).toContain(old);
  one.expectSound();
  await one.run(2 * HOUR);
  expect(one.trustedIds()).not.toContain(old);
  one.expectSound();
});

test('a crash makes a retiring root live a little longer, never shorter', async () => {
  const one = await world();
  const old = one.leaf.rootId;
  await one.ca.rotate();
  await one.run(5 * MINUTE);
  for (let hour = 0; hour < 72; hour += 8) {
    await one.run(8 * HOUR);
    // Killed: nothing is written at the end.
    const killed = one.ca;
    await one.open();
    killed.close();
    if (hour < 64) expect(one.trustedIds()).toContain(old);
  }
  await one.run(3 * HOUR);
  expect(one.trustedIds()).not.toContain(old);
});

test.each([DAY, -DAY])('a rotation goes on when the clock is set by %d ms in the middle of it', async (ms) => {
  const one = await world();
  await one.ca.rotate();
  one.clock.jump(ms);
  await one.run(3 * MINUTE);
  one.expectSound();
  expect(one.ca.status().map(({ phase }) => phase)).not.toContain('staged');
  await one.ca.rotate();
  await one.run(3 * MINUTE);
  one.expectSound();
});

test('a jump is a problem for an hour, drifting is none', async () => {
  const one = await world();
  for (let step = 0; step < 100; step += 1) {
    one.clock.jump(SECOND);
    await one.run(5 * SECOND);
  }
  expect(one.problems.list()).toEqual([]);
  one.clock.jump(-DAY);
  await one.run(10 * SECOND);
  expect(one.problems.list()).toMatchObject([{ code: 'clock-jumped', message: expect.stringContaining('set back by 1.0 days') }]);
  await one.run(30 * MINUTE);
  one.clock.jump(100 * DAY);
  await one.run(40 * MINUTE);
  expect(one.problems.list()).toMatchObject([{ code: 'clock-jumped', message: expect.stringContaining('set ahead by 100.0 days') }]);
  await one.run(30 * MINUTE);
  expect(one.problems.list()).toEqual([]);
});

test('a clock behind the root of the disk is a problem from the start', async () => {
  const one = await world();
  one.close();
  one.clock.jump(-DAY);
  await one.open();
  expect(one.problems.list()).toMatchObject([{ code: 'clock-jumped', message: expect.stringContaining('behind the certificate of the CA') }]);
  one.expectSound();
});

test.each([DAY, -DAY])('an authority elsewhere whose clock differs by %d ms is asked once a minute, not without end', async (ms) => {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const issued: number[] = [];
  const elsewhere = {
    signerId: 'r',
    trusts: () => true,
    spiffeIdOf: () => 'id',
    onChange: () => () => {},
    issueLeaf: async (service: string): Promise<Leaf> => {
      issued.push(clock.now());
      const now = clock.now() + ms;
      return { service, spiffeId: 'id', certificateChain: '', privateKey: '', serial: '', rootId: 'r', notBefore: now, notAfter: now + HOUR };
    },
  };
  const store = new LeafStore({ ca: elsewhere, clock, logger, random: () => 0.5 });
  onTestFinished(() => store.close());
  await store.ensure('web');
  for (let step = 0; step < 60; step += 1) {
    clock.advance(10 * SECOND);
    await store.settled();
  }
  expect(issued.length).toBeLessThanOrEqual(11);
  // What begins later by our clock is good for everybody else; what is over is good for nobody.
  expect(store.get('web') !== undefined).toBe(ms > 0);
});
