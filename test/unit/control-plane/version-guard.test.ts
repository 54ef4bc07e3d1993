import { expect, test } from 'vitest';
import { VersionGuard } from '../../../src/control-plane/version-guard.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';

type Version = readonly [number, number, number];

function setUp() {
  const clock = new ManualClock(1000);
  const warnings: string[] = [];
  const served: string[] = [];
  const guard = new VersionGuard({ clock, logger: { ...silentLogger, warn: (fields, message) => void warnings.push(`${message}: ${Object(fields).reason}`) } });
  const directory = guard.guard({
    connect: ({ id }) => {
      served.push(id);
      return { close() {} };
    },
  });
  const connect = (id: string, envoyVersion?: Version) => {
    const ends: string[] = [];
    const node = { id, ipv6: false, peer: '10.0.0.1:5', ...(envoyVersion ? { envoyVersion } : {}) };
    directory.connect(node, { update() {}, end: (code, message) => void ends.push(`${code}: ${message}`) });
    return ends;
  };
  return { clock, warnings, served, guard, connect };
}

test('one that was tried, and a client that says no version, are served without a word', () => {
  const { connect, served, warnings, guard } = setUp();
  expect([...connect('a', [1, 36, 0]), ...connect('b', [1, 40, 3]), ...connect('c')]).toEqual([]);
  expect([served, warnings, guard.refusals()]).toEqual([['a', 'b', 'c'], [], []]);
});

test('one that is too old is turned away with the reason; the log has it once, and operators until it was mended', () => {
  const { connect, served, warnings, guard, clock } = setUp();
  const reason = expect.stringContaining('Envoy 1.32.2 is too old: adsum was tried with 1.36 to 1.40');
  for (let attempt = 0; attempt < 3; attempt++) {
    expect(connect('web', [1, 32, 2])).toEqual([expect.stringMatching(/^INVALID_ARGUMENT: Envoy 1\.32\.2 is too old/)]);
    clock.advance(2000);
  }
  expect(warnings).toHaveLength(1);
  expect(guard.refusals()).toEqual([{ id: 'web', nodeName: undefined, peer: '10.0.0.1:5', reason, at: 5000 }]);
  connect('web', [1, 31, 0]);
  expect(warnings).toHaveLength(2);
  connect('web', [1, 36, 0]);
  expect([served, guard.refusals()]).toEqual([['web'], []]);
});

test('a refusal that nobody repeats is no news after a while', () => {
  const { connect, guard, clock } = setUp();
  connect('web', [1, 20, 0]);
  clock.advance(10 * 60_000);
  expect(guard.refusals()).toEqual([]);
});

test('one that is older than any tried is served as long as it knows what protects a service, and the log says so', () => {
  const { connect, served, warnings } = setUp();
  expect(connect('web', [1, 34, 1])).toEqual([]);
  expect(served).toEqual(['web']);
  expect(warnings).toEqual(['an Envoy that adsum was not tried with is served: Envoy 1.34.1 is older than any that adsum was tried with (1.36 to 1.40)']);
});

test('the log names each minor release once, however many proxies have it', () => {
  const { connect, served, warnings } = setUp();
  for (const [id, minor] of [
    ['a', 34],
    ['b', 34],
    ['c', 41],
    ['d', 41],
  ] as const)
    connect(id, [1, minor, 0]);
  expect(served).toEqual(['a', 'b', 'c', 'd']);
  expect(warnings).toEqual([expect.stringContaining('Envoy 1.34.0'), expect.stringContaining('Envoy 1.41.0')]);
});

test('the log names only so many releases, whatever clients claim', () => {
  const { connect, served, warnings } = setUp();
  for (let minor = 100; minor < 300; minor++) connect('web', [1, minor, 0]);
  expect(served).toHaveLength(200);
  expect(warnings).toHaveLength(64);
});

test('one that is newer than any tried is served, and the log says so', () => {
  const { connect, served, warnings } = setUp();
  expect(connect('web', [1, 41, 0])).toEqual([]);
  expect(served).toEqual(['web']);
  expect(warnings).toEqual(['an Envoy that adsum was not tried with is served: Envoy 1.41.0 is newer than any that adsum was tried with (1.36 to 1.40)']);
});
