import { expect, test } from 'vitest';
import type { XdsRequest } from '../../../src/xds/messages.ts';
import { applyRequest, applySnapshot, defaultTiming, nextResponse, openSession, type Session } from '../../../src/xds/session.ts';
import { snapshotMaker } from '../../protocol/world.ts';

const request = (type: XdsRequest['type'], fields: Partial<XdsRequest> = {}): XdsRequest => ({
  type,
  nonce: '',
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map(),
  version: '',
  ...fields,
});

const names = (session: Session, now = 0) => nextResponse(session, now).response?.resources.map(({ name }) => name);

test('a session is a value: steps leave it as it was', () => {
  const snapshot = snapshotMaker()({ cluster: { A: '1' } });
  const asked = applySnapshot(applyRequest(openSession('delta'), request('cluster'), 0), snapshot);
  const first = nextResponse(asked, 0);
  expect(first.response?.resources.map(({ name }) => name)).toEqual(['A']);
  expect(names(first.session)).toBeUndefined();
  expect(names(asked)).toEqual(['A']);
});

test('back to an earlier snapshot before the step after a response', () => {
  const snapshot = snapshotMaker();
  const [one, two] = [snapshot({ cluster: { A: '1' } }), snapshot({ cluster: { A: '2' } })];
  let session = applySnapshot(applyRequest(openSession('delta'), request('cluster'), 0), one);
  session = nextResponse(session, 0).session;
  session = nextResponse(applyRequest(session, request('cluster', { nonce: '1' }), 0), 0).session;
  session = nextResponse(applySnapshot(session, two), 0).session;
  session = applyRequest(applySnapshot(session, one), request('cluster', { nonce: '2' }), 0);
  expect(nextResponse(session, 0).response?.resources[0]).toBe(one.cluster.get('A'));
});

test('says when to ask again while something waits for an answer, and not otherwise', () => {
  const snapshot = snapshotMaker();
  let session = applySnapshot(applyRequest(openSession('delta'), request('cluster'), 0), snapshot({ cluster: { A: '1' } }));
  session = nextResponse(session, 100).session;
  expect(nextResponse(session, 200).wakeAt).toBe(100 + defaultTiming.answerMs);
  session = applyRequest(session, request('cluster', { nonce: '1' }), 200);
  expect(nextResponse(session, 200).wakeAt).toBeUndefined();
});

test('a client that never answers does not make its session grow', () => {
  const snapshot = snapshotMaker();
  let session = applySnapshot(applyRequest(openSession('delta'), request('cluster'), 0), snapshot({ cluster: { A: '1' } }));
  for (let i = 0; i < 3000; i++) session = nextResponse(applyRequest(session, request('cluster', { subscribe: ['A'] }), i), i).session;
  expect(session.types.cluster?.unanswered.length).toBeLessThanOrEqual(1000);
});
