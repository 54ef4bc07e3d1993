import { expect, test } from 'vitest';
import type { XdsRequest } from '../../../src/xds/messages.ts';
import { defaultTiming, Session } from '../../../src/xds/session.ts';
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

const answer = (session: Session, type: XdsRequest['type'], now = 0) => session.request(request(type, { nonce: String(session.sentCount) }), now);

test('back to an earlier snapshot before the step after a response', () => {
  const snapshot = snapshotMaker();
  const [one, two] = [snapshot({ cluster: { A: '1' } }), snapshot({ cluster: { A: '2' } })];
  const session = new Session('delta');
  session.request(request('cluster'), 0);
  session.update(one);
  session.next(0);
  answer(session, 'cluster');
  session.next(0);
  session.update(two);
  session.next(0);
  session.update(one);
  answer(session, 'cluster');
  expect(session.next(0).response?.resources[0]).toBe(one.cluster.get('A'));
});

test('says when to ask again while something waits for an answer, and not otherwise', () => {
  const session = new Session('delta');
  session.request(request('cluster'), 0);
  session.update(snapshotMaker()({ cluster: { A: '1' } }));
  session.next(100);
  expect(session.next(200).wakeAt).toBe(100 + defaultTiming.answerMs);
  answer(session, 'cluster', 200);
  expect(session.next(200).wakeAt).toBeUndefined();
});
