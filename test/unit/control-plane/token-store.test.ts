import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TokenStore } from '../../../src/control-plane/token-store.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { StateError } from '../../../src/runtime/state-error.ts';

function setUp() {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'adsum-tokens-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const clock = new ManualClock(1_000);
  const file = path.join(dataDir, 'tokens.json');
  return { dataDir, clock, file, open: () => new TokenStore({ dataDir, clock }) };
}

test('what is stored is closed to others and holds no secret; a token is found again after a restart, until it expires', () => {
  const { clock, file, open } = setUp();
  const { token, stored } = open().create({ service: 'web', node: 'vm', ttlMs: 5_000 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).not.toContain(token.slice(-43));
  expect(open().find(token)).toEqual(stored);
  clock.advance(4_999);
  expect(open().find(token)).toEqual(stored);
  clock.advance(1);
  expect(open().find(token)).toBeUndefined();
  expect(open().list()).toEqual([]);
});

test('nothing but the token itself is found', () => {
  const store = setUp().open();
  const { token } = store.create({ service: 'web' });
  const other = store.create({ service: 'api' }).token;
  const mixed = `${token.slice(0, -43)}${other.slice(-43)}`;
  for (const wrong of ['', 'adsum__', token.slice(1), `${token} `, mixed, token.slice(0, 18)]) expect(store.find(wrong)).toBeUndefined();
});

test('a token that is revoked is gone at once, and after a restart; listeners are told when it is gone', () => {
  const { open } = setUp();
  const store = open();
  const { token, stored } = store.create({ service: 'web' });
  const found: unknown[] = [];
  store.onRevoked(() => found.push(store.find(token)));
  expect(store.revoke(stored.id)).toBe(true);
  expect(store.revoke(stored.id)).toBe(false);
  expect(found).toEqual([undefined]);
  expect(open().find(token)).toBeUndefined();
});

test('a token that cannot be written is not given out; one that is revoked is dead all the same', () => {
  const { dataDir, open } = setUp();
  const store = open();
  const { token, stored } = store.create({ service: 'web' });
  rmSync(dataDir, { recursive: true });
  expect(() => store.create({ service: 'api' })).toThrow(StateError);
  expect(store.list()).toEqual([stored]);
  expect(() => store.revoke(stored.id)).toThrow(StateError);
  expect(store.find(token)).toBeUndefined();
});

test.each(['', '{', '[]', '{"format":2,"tokens":[]}', '{"format":1,"tokens":[{"id":"x"}]}'])(
  'a damaged file %j stops the start and is left as it is',
  (text) => {
    const { file, open } = setUp();
    writeFileSync(file, text);
    expect(open).toThrow(/tokens\.json is damaged/);
    expect(readFileSync(file, 'utf8')).toBe(text);
  },
);
