import { describe, expect, test } from 'vitest';
import type { Variant, XdsRequest } from '../../../src/xds/messages.ts';
import { Session } from '../../../src/xds/session.ts';
import { type State, snapshotMaker } from '../../protocol/world.ts';

// The cost of a stream is counted in names looked at. It must not depend on what the client has asked for before.

const request = (type: XdsRequest['type'], fields: Partial<XdsRequest> = {}): XdsRequest => ({
  type,
  nonce: '',
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map(),
  version: '',
  ...fields,
});

const many = (count: number, prefix = 'n') => Array.from({ length: count }, (_, i) => prefix + i);
const tagged = (names: readonly string[], tag: string) => Object.fromEntries(names.map((name) => [name, tag]));

/** Takes every response and accepts it, until there is none. */
function drain(session: Session, now = 0, answer = true): number {
  let responses = 0;
  for (;;) {
    const { response } = session.next(now);
    if (!response) return responses;
    responses++;
    if (answer) session.request(request(response.type, { nonce: response.nonce }), now);
  }
}

function workOf(session: Session, step: () => unknown): number {
  const before = session.work;
  step();
  return session.work - before;
}

function open(variant: Variant, state: State): Session {
  const session = new Session(variant);
  session.update(snapshotMaker()(state));
  return session;
}

describe.each([10, 10_000])('with %i names subscribed', (count) => {
  const subscribed = () => {
    const session = open('delta', { endpoint: tagged(many(10), '1') });
    session.request(request('endpoint', { subscribe: many(count) }), 0);
    drain(session);
    return session;
  };

  test('one more name costs one name', () => {
    const session = subscribed();
    const cost = workOf(session, () => {
      session.request(request('endpoint', { subscribe: ['x'] }), 0);
      drain(session);
    });
    expect(cost).toBeLessThan(10);
  });

  test('a name given up, a name asked for again, an answer, a stale answer and a refusal cost what they name', () => {
    const session = subscribed();
    const cost = workOf(session, () => {
      session.request(request('endpoint', { unsubscribe: ['n1'] }), 0);
      session.request(request('endpoint', { subscribe: ['n2'], nonce: 'stale' }), 0);
      const { response } = session.next(0);
      session.request(request('endpoint', { nonce: response?.nonce ?? '', error: 'no' }), 0);
      drain(session);
    });
    expect(cost).toBeLessThan(20);
  });

  test('a change of the proxy costs what the proxy has', () => {
    const snapshot = snapshotMaker();
    const session = subscribed();
    session.update(snapshot({ endpoint: tagged(many(10), '2') }));
    expect(workOf(session, () => drain(session))).toBeLessThan(100);
  });

  test('asking again while nothing can be written costs the request, and is answered once', () => {
    const session = subscribed();
    const cost = workOf(session, () => {
      for (let i = 0; i < 100; i++) session.request(request('endpoint', { subscribe: ['n3'] }), 0);
    });
    expect(cost).toBeLessThan(200);
    expect(drain(session)).toBe(1);
  });
});

test.each(['delta', 'sotw'] as const)('%s: secrets go one by one, and a thousand of them cost thousands and not a million', (variant) => {
  const session = open(variant, { secret: tagged(many(1000), '1') });
  session.request(request('secret', { subscribe: many(1000) }), 0);
  let responses = 0;
  const cost = workOf(session, () => {
    for (;;) {
      const { response } = session.next(0);
      if (!response) return;
      responses++;
      // a state-of-the-world client lists all its names in each answer
      session.request(request('secret', { nonce: response.nonce, subscribe: variant === 'sotw' ? many(1000) : [] }), 0);
    }
  });
  expect(responses).toBe(1000);
  const listed = variant === 'sotw' ? 1000 * 1000 : 0;
  expect(cost - listed).toBeLessThan(10_000);
});

test('a wildcard over a thousand clusters: a request about one of them costs one', () => {
  const session = open('delta', { cluster: tagged(many(1000), '1'), endpoint: {} });
  session.request(request('cluster'), 0);
  drain(session);
  expect(workOf(session, () => [session.request(request('cluster', { subscribe: ['n5'] }), 0), drain(session)])).toBeLessThan(10);
});

test('a client that never answers: what is kept of its responses is bounded, in number and in names', () => {
  const session = open('delta', { cluster: tagged(many(1000), '1') });
  session.request(request('cluster'), 0);
  for (let i = 0; i < 3000; i++) {
    session.request(request('cluster', { subscribe: ['*'] }), i);
    session.next(i);
  }
  expect(session.sentCount).toBe(3000);
  // the oldest are forgotten: a refusal of them says nothing any more
  expect(session.request(request('cluster', { nonce: '1', error: 'no' }), 3000)).toBe(false);
  expect(session.request(request('cluster', { nonce: String(3000 - 98), error: 'no' }), 3000)).toBe(true);
  expect(session.request(request('cluster', { nonce: String(3000 - 110), error: 'no' }), 3000)).toBe(false);
});

test('newer state replaces what was not sent: a client that reads nothing for a thousand changes gets the last one, in one response', () => {
  const snapshot = snapshotMaker();
  const session = new Session('delta');
  session.request(request('cluster'), 0);
  for (let i = 0; i < 1000; i++) session.update(snapshot({ cluster: { A: String(i), ...(i < 500 && { B: String(i) }) } }));
  const { response } = session.next(0);
  expect(response?.resources.map(({ name }) => name)).toEqual(['A']);
  expect(response?.resources[0]?.version).toBe(snapshot({ cluster: { A: '999' } }).cluster.get('A')?.version);
  expect(session.next(0).response).toBeUndefined();
});
