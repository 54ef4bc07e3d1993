import { expect } from 'vitest';
import type { Conversation } from './conversation.ts';

/** One thing a server must get right, in the variants it exists in. `skip` says why one is missing. */
export interface Case {
  readonly name: string;
  readonly delta?: (c: Conversation) => Promise<void>;
  readonly sotw?: (c: Conversation) => Promise<void>;
  readonly skip?: { readonly delta?: string; readonly sotw?: string };
}

const DELTA_ONLY = { sotw: 'a rule of delta' };
const SOTW_ONLY = { delta: 'a rule of the state of the world' };

export const cases: readonly Case[] = [
  {
    name: 'wildcard: given up by listing names, and an empty list never brings it back',
    skip: { delta: 'see the next case' },
    async sotw(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { names: [] });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster');
      c.ack('cluster', { names: ['*', 'A'] });
      c.ack('cluster', { names: ['A'] });
      await c.expectSilence();
      c.world({ cluster: { A: '1', B: '2' } });
      await c.expectSilence();
      c.world({ cluster: { A: '2', B: '2' } });
      await c.expect('cluster A=2');
      c.ack('cluster', { names: [] });
      c.world({ cluster: { A: '3', B: '3' } });
      await c.expectSilence();
    },
  },
  {
    name: 'wildcard: subscribing on top of it is answered, and giving both up ends in silence',
    skip: DELTA_ONLY,
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', {});
      await c.expect('cluster A=1 B=1');
      c.ack('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster', { unsubscribe: ['*'] });
      c.world({ cluster: { A: '2', B: '2' } });
      await c.expect('cluster A=2');
      c.ack('cluster', { unsubscribe: ['A'] });
      c.world({ cluster: { A: '3', B: '3' } });
      await c.expectSilence();
    },
  },
  {
    name: 'wildcard: a name given up beside it is answered with what the wildcard still says of it',
    skip: DELTA_ONLY,
    async delta(c) {
      c.world({ cluster: { A: '1' } });
      c.send('cluster', { subscribe: ['*', 'A', 'Z'] });
      await c.expect('cluster A=1 -Z');
      c.ack('cluster', { unsubscribe: ['Z'] });
      await c.expect('cluster -Z');
      c.ack('cluster', { unsubscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster');
      await c.expectSilence();
    },
  },
  {
    name: 'wildcard: giving it up keeps the names',
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { subscribe: ['*', 'A'] });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster', { unsubscribe: ['*'] });
      c.world({ cluster: { A: '1', B: '2' } });
      await c.expectSilence();
      c.world({ cluster: { A: '2', B: '2' } });
      await c.expect('cluster A=2');
    },
    async sotw(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { names: ['*', 'A'] });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster', { names: ['A'] });
      c.world({ cluster: { A: '1', B: '2' } });
      await c.expectSilence();
      c.world({ cluster: { A: '2', B: '2' } });
      await c.expect('cluster A=2');
    },
  },
  {
    name: 'a client that once named something never becomes a wildcard client',
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster', { unsubscribe: ['A'] });
      c.world({ cluster: { A: '2', B: '2' } });
      await c.expectSilence();
    },
    async sotw(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { names: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster', { names: [] });
      c.world({ cluster: { A: '2', B: '2' } });
      await c.expectSilence();
    },
  },
  {
    name: 'only clusters and listeners have a wildcard of old: an empty first list of endpoints wants nothing',
    async delta(c) {
      c.world({ endpoint: { a: '1' } });
      c.send('endpoint', {});
      await c.expectSilence();
      c.send('endpoint', { subscribe: ['a'] });
      await c.expect('endpoint a=1');
    },
    async sotw(c) {
      c.world({ endpoint: { a: '1' } });
      c.send('endpoint', { names: [] });
      await c.expectSilence();
      c.send('endpoint', { names: ['a'] });
      await c.expect('endpoint a=1');
    },
  },
  {
    name: 'subscribing again sends again: the client may have forgotten',
    skip: { ...DELTA_ONLY },
    async delta(c) {
      c.world({ cluster: { A: '1' } });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster');
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster');
      await c.expectSilence();
    },
  },
  {
    name: 'unsubscribing is silent, and subscribing after it sends in full, at once or later',
    skip: DELTA_ONLY,
    async delta(c) {
      c.world({ cluster: { A: '1' } });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster');
      c.send('cluster', { unsubscribe: ['A'] });
      await c.expectSilence();
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster');
      c.send('cluster', { unsubscribe: ['A'] });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
    },
  },
  {
    name: 'a longer list of names at the current version is served',
    skip: SOTW_ONLY,
    async sotw(c) {
      c.world({ endpoint: { a: '1', b: '1' }, cluster: { A: '1', B: '1' } });
      c.send('endpoint', { names: ['a'] });
      await c.expect('endpoint a=1');
      c.ack('endpoint');
      c.ack('endpoint', { names: ['a', 'b'] });
      await c.expect('endpoint b=1');
      c.ack('endpoint');
      c.send('cluster', { names: ['A', 'B'] });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster', { names: ['A'] });
      await c.expectSilence();
      c.ack('cluster', { names: ['A', 'B'] });
      await c.expect('cluster A=1 B=1');
    },
  },
  {
    name: 'subscribing and unsubscribing in one message, and unsubscribing what never was',
    skip: DELTA_ONLY,
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.ack('cluster', { subscribe: ['B'], unsubscribe: ['A'] });
      await c.expect('cluster B=1');
      c.ack('cluster', { unsubscribe: ['NOPE'] });
      await c.expectSilence();
      c.world({ cluster: { A: '2', B: '1' } });
      await c.expectSilence();
    },
  },
  {
    name: 'reconnect with what the client has: only what differs, and what is gone',
    skip: DELTA_ONLY,
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', {});
      await c.expect('cluster A=1 B=1');
      const { versions } = c.last('cluster');
      c.reconnect();
      c.send('cluster', { nonce: 'of-another-life', initial: { A: versions.A ?? '', B: 'stale', GONE: 'x' } });
      await c.expect('cluster B=1');
      c.ack('cluster');
      c.advance(1000);
      await c.expect('cluster -GONE');
      c.ack('cluster');
      await c.expectSilence();
      c.world({ cluster: { A: '2', B: '1' } });
      await c.expect('cluster A=2');
    },
  },
  {
    name: 'reconnect with what the client has, by name',
    skip: DELTA_ONLY,
    async delta(c) {
      c.world({ endpoint: { A: '1', B: '1', U: '1' } });
      c.send('endpoint', { subscribe: ['A'] });
      await c.expect('endpoint A=1');
      const { versions } = c.last('endpoint');
      c.reconnect();
      c.send('endpoint', { subscribe: ['A', 'B', 'M'], initial: { A: versions.A ?? '', B: 'stale', M: 'x', U: 'x' } });
      expect(await c.acceptAll()).toEqual(['endpoint B=1']);
      c.advance(1000);
      expect(await c.acceptAll()).toEqual(['endpoint -M']);
      c.world({ endpoint: { A: '2', B: '1', U: '2' } });
      await c.expect('endpoint A=2');
    },
  },
  {
    name: 'reconnect with the current version: silence for the wildcard, an answer for names',
    skip: SOTW_ONLY,
    async sotw(c) {
      c.world({ cluster: { A: '1' }, endpoint: { a: '1', b: '1' } });
      c.send('cluster', { names: [] });
      c.send('endpoint', { names: ['a'] });
      await c.expect('cluster A=1', 'endpoint a=1');
      const [cluster, endpoint] = [c.last('cluster'), c.last('endpoint')];
      c.reconnect();
      c.send('cluster', { names: [], version: cluster.version, nonce: cluster.nonce });
      await c.expectSilence();
      c.send('endpoint', { names: ['a', 'b'], version: endpoint.version });
      await c.expect('endpoint a=1 b=1');
      c.world({ cluster: { A: '2' }, endpoint: { a: '1', b: '1' } });
      await c.expect('cluster A=2');
      c.reconnect();
      c.send('cluster', { names: [], version: cluster.version, nonce: 'of-another-life' });
      await c.expect('cluster A=2');
    },
  },
  {
    name: 'a deletion is said once',
    skip: { sotw: 'see removal by omission' },
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1', C: '1' } });
      c.send('cluster', { subscribe: ['A', 'B'] });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster');
      c.world({ cluster: { B: '1', C: '1' } });
      await c.expect('cluster -A');
      c.ack('cluster');
      await c.expectSilence();
      c.world({ cluster: { B: '1' } });
      await c.expectSilence();
      c.world({});
      await c.expect('cluster -B');
    },
  },
  {
    name: 'deleted and created again with the same content: sent; within one change: silence',
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', {});
      await c.expect('cluster A=1 B=1');
      c.ack('cluster');
      c.world({ cluster: { B: '1' } });
      await c.expect('cluster -A');
      c.ack('cluster');
      c.world({ cluster: { A: '1', B: '1' } });
      await c.expect('cluster A=1');
      c.ack('cluster');
      c.world({ cluster: { B: '1', A: '1' } });
      await c.expectSilence();
    },
    async sotw(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { names: [] });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster');
      c.world({ cluster: { B: '1' } });
      await c.expect('cluster B=1');
      c.ack('cluster');
      c.world({ cluster: { A: '1', B: '1' } });
      await c.expect('cluster A=1 B=1');
      c.ack('cluster');
      c.world({ cluster: { B: '1', A: '1' } });
      await c.expectSilence();
    },
  },
  {
    name: 'a name that does not exist: said once, and sent when it comes to be',
    async delta(c) {
      c.world({ endpoint: { A: '1' } });
      c.send('endpoint', { subscribe: ['A', 'Z'] });
      await c.expect('endpoint A=1 -Z');
      c.ack('endpoint');
      await c.expectSilence();
      c.world({ endpoint: { A: '2' } });
      await c.expect('endpoint A=2');
      c.ack('endpoint');
      c.world({ endpoint: { A: '2', Z: '1' } });
      await c.expect('endpoint Z=1');
    },
    async sotw(c) {
      c.world({ endpoint: { A: '1' } });
      c.send('endpoint', { names: ['A', 'Z'] });
      await c.expect('endpoint A=1');
      c.ack('endpoint');
      c.world({ endpoint: { A: '1', Z: '1' } });
      await c.expect('endpoint Z=1');
    },
  },
  {
    name: 'removal by omission, down to the empty set, for the wildcard and for names',
    skip: SOTW_ONLY,
    async sotw(c) {
      c.world({ cluster: { A: '1', B: '1' }, listener: { L: '1', M: '1' } });
      c.send('cluster', { names: [] });
      c.send('listener', { names: ['L', 'M'] });
      await c.expect('cluster A=1 B=1', 'listener L=1 M=1');
      c.ack('cluster');
      c.ack('listener');
      const versions = [c.last('cluster').version];
      c.world({ cluster: { B: '1' }, listener: { M: '1' } });
      expect(await c.acceptAll()).toEqual(['listener M=1', 'cluster B=1']);
      versions.push(c.last('cluster').version);
      c.world({});
      expect(await c.acceptAll()).toEqual(['listener', 'cluster']);
      versions.push(c.last('cluster').version);
      expect(new Set(versions).size).toBe(3);
    },
  },
  {
    name: 'endpoints: a deletion is not an empty response, the rest goes on, and a re-creation is sent',
    skip: SOTW_ONLY,
    async sotw(c) {
      c.world({ endpoint: { a: '1', b: '1' } });
      c.send('endpoint', { names: ['a', 'b'] });
      await c.expect('endpoint a=1 b=1');
      c.ack('endpoint');
      c.world({ endpoint: { b: '1' } });
      await c.expectSilence();
      c.world({ endpoint: { b: '2' } });
      await c.expect('endpoint b=2');
      c.ack('endpoint');
      c.world({ endpoint: { a: '1', b: '2' } });
      await c.expect('endpoint a=1');
    },
  },
  {
    name: 'a known proxy with nothing is answered; an unknown one is held and served when it becomes known',
    async delta(c) {
      c.send('cluster', {});
      c.send('listener', { subscribe: ['*'] });
      await c.expectSilence();
      c.world({});
      await c.expect('cluster', 'listener');
      c.ack('cluster');
      c.world({ cluster: { A: '1' } });
      await c.expect('cluster A=1');
    },
    async sotw(c) {
      c.send('cluster', { names: [] });
      c.send('listener', { names: ['*'] });
      await c.expectSilence();
      c.world({});
      await c.expect('cluster', 'listener');
      c.ack('cluster');
      c.world({ cluster: { A: '1' } });
      await c.expect('cluster A=1');
    },
  },
  {
    name: 'NACK: not sent again, visible, and the next content is sent; also a return to the last accepted one',
    async delta(c) {
      c.world({ listener: { L: 'good', M: '1' } });
      c.send('listener', {});
      await c.expect('listener L=good M=1');
      c.ack('listener');
      c.world({ listener: { L: 'bad', M: '1' } });
      await c.expect('listener L=bad');
      c.nack('listener', 'listener L: no such filter');
      await c.expectSilence();
      expect(c.status('listener').nacked).toMatchObject({ error: 'listener L: no such filter', resources: ['L'] });
      expect(c.status('listener').acked?.nonce).not.toBe(c.last('listener').nonce);
      c.world({ listener: { L: 'bad', M: '2' } });
      await c.expect('listener M=2');
      c.ack('listener');
      expect(c.status('listener').nacked?.resources).toEqual(['L']);
      c.world({ listener: { L: 'good', M: '2' } });
      await c.expect('listener L=good');
      c.ack('listener');
      await c.expectSilence();
      expect(c.status('listener')).toMatchObject({ pending: false });
      expect(c.status('listener').nacked).toBeUndefined();
    },
    async sotw(c) {
      c.world({ listener: { L: 'good', M: '1' } });
      c.send('listener', { names: [] });
      await c.expect('listener L=good M=1');
      c.ack('listener');
      c.world({ listener: { L: 'bad', M: '1' } });
      await c.expect('listener L=bad M=1');
      c.nack('listener', 'listener L: no such filter');
      await c.expectSilence();
      expect(c.status('listener').nacked).toMatchObject({ error: 'listener L: no such filter', resources: ['L'] });
      c.world({ listener: { L: 'good', M: '1' } });
      await c.expect('listener L=good M=1');
      c.ack('listener');
      await c.expectSilence();
      expect(c.status('listener').nacked).toBeUndefined();
    },
  },
  {
    name: 'NACK that changes the subscription: the change counts',
    async delta(c) {
      c.world({ cluster: { A: 'bad', B: '1' } });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=bad');
      c.nack('cluster', 'no', { subscribe: ['B'] });
      await c.expect('cluster B=1');
      c.ack('cluster');
      expect(c.status('cluster')).toMatchObject({ nacked: { error: 'no' }, subscribed: { names: 2 } });
    },
    async sotw(c) {
      c.world({ endpoint: { A: 'bad', B: '1' } });
      c.send('endpoint', { names: ['A'] });
      await c.expect('endpoint A=bad');
      c.nack('endpoint', 'no', { names: ['A', 'B'] });
      await c.expect('endpoint B=1');
      c.ack('endpoint');
      expect(c.status('endpoint')).toMatchObject({ nacked: { error: 'no' }, subscribed: { names: 2 } });
    },
  },
  {
    name: 'stale nonce: in the state of the world it says nothing, in delta its subscriptions count',
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { subscribe: ['A'] });
      await c.expect('cluster A=1');
      c.send('cluster', { subscribe: ['B'], nonce: 'unknown' });
      await c.expect('cluster B=1');
    },
    async sotw(c) {
      c.world({ endpoint: { A: '1', B: '1' } });
      c.send('endpoint', { names: ['A'] });
      await c.expect('endpoint A=1');
      const stale = c.last('endpoint').nonce;
      c.ack('endpoint');
      c.world({ endpoint: { A: '2', B: '1' } });
      await c.expect('endpoint A=2');
      c.send('endpoint', { names: ['A', 'B'], nonce: stale });
      await c.expectSilence();
      c.ack('endpoint', { names: ['A', 'B'] });
      await c.expect('endpoint B=1');
    },
  },
  {
    name: 'silence: the same again, a change and its reversal while an answer is open',
    async delta(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', {});
      await c.expect('cluster A=1 B=1');
      c.world({ cluster: { A: '2', B: '1' } });
      c.world({ cluster: { B: '1', A: '1' } });
      c.ack('cluster');
      await c.expectSilence();
    },
    async sotw(c) {
      c.world({ cluster: { A: '1', B: '1' } });
      c.send('cluster', { names: [] });
      await c.expect('cluster A=1 B=1');
      c.world({ cluster: { A: '2', B: '1' } });
      c.world({ cluster: { B: '1', A: '1' } });
      c.ack('cluster');
      await c.expectSilence();
    },
  },
  {
    name: 'a burst: the last state arrives, nothing older after it, one response open at a time',
    async delta(c) {
      c.world({ cluster: { A: '0' } });
      c.send('cluster', {});
      await c.expect('cluster A=0');
      for (let change = 1; change <= 50; change++) c.world({ cluster: { A: String(change) } });
      await c.expectSilence();
      c.ack('cluster');
      await c.expect('cluster A=50');
      c.ack('cluster');
      await c.expectSilence();
    },
    async sotw(c) {
      c.world({ cluster: { A: '0' } });
      c.send('cluster', { names: [] });
      await c.expect('cluster A=0');
      for (let change = 1; change <= 50; change++) c.world({ cluster: { A: String(change) } });
      await c.expectSilence();
      c.ack('cluster');
      await c.expect('cluster A=50');
      c.ack('cluster');
      await c.expectSilence();
    },
  },
  {
    name: 'types beside each other: answers out of order, and one with the nonce of another type',
    async delta(c) {
      c.world({ cluster: { C: '1' }, listener: { L: '1' }, endpoint: { e: '1' }, route: { r: '1' } });
      c.send('cluster', {});
      c.send('listener', {});
      c.send('endpoint', { subscribe: ['e'] });
      c.send('route', { subscribe: ['r'] });
      expect((await c.drain()).map((got) => got.type).sort()).toEqual(['cluster', 'endpoint', 'listener', 'route']);
      c.ack('route');
      c.send('endpoint', { nonce: c.last('cluster').nonce });
      await c.expectSilence();
      expect(c.status('endpoint').acked).toBeUndefined();
      expect(c.status('cluster').acked).toBeUndefined();
      expect(c.status('route').acked?.nonce).toBe(c.last('route').nonce);
      for (const type of ['listener', 'endpoint', 'cluster'] as const) c.ack(type);
      c.world({ cluster: { C: '1' }, listener: { L: '2' }, endpoint: { e: '1' }, route: { r: '1' } });
      await c.expect('listener L=2');
    },
    async sotw(c) {
      c.world({ cluster: { C: '1' }, listener: { L: '1' }, endpoint: { e: '1' }, route: { r: '1' } });
      c.send('cluster', { names: [] });
      c.send('listener', { names: [] });
      c.send('endpoint', { names: ['e'] });
      c.send('route', { names: ['r'] });
      expect((await c.drain()).map((got) => got.type).sort()).toEqual(['cluster', 'endpoint', 'listener', 'route']);
      c.ack('route');
      c.send('endpoint', { names: ['e'], nonce: c.last('cluster').nonce });
      await c.expectSilence();
      expect(c.status('endpoint').acked).toBeUndefined();
      expect(c.status('cluster').acked).toBeUndefined();
      for (const type of ['listener', 'endpoint', 'cluster'] as const) c.ack(type);
      c.world({ cluster: { C: '1' }, listener: { L: '2' }, endpoint: { e: '1' }, route: { r: '1' } });
      await c.expect('listener L=2');
    },
  },
  {
    name: 'make before break: what is new goes from the clusters up, each step accepted; what is gone goes last',
    async delta(c) {
      await settled(c);
      c.world(after);
      await c.expect('cluster X=eds1');
      c.ack('cluster');
      await c.expectSilence();
      c.send('endpoint', { subscribe: ['X'] });
      await c.expect('endpoint X=1');
      c.ack('endpoint');
      await c.expect('listener L=2');
      c.ack('listener');
      await c.expect('route r=2');
      c.ack('route');
      await c.expect('cluster -Y');
      c.ack('cluster');
      await c.expect('endpoint -Y');
    },
    async sotw(c) {
      await settled(c);
      c.world(after);
      await c.expect('cluster X=eds1 Y=eds1');
      c.ack('cluster');
      await c.expectSilence();
      c.ack('endpoint', { names: ['Y', 'X'] });
      await c.expect('endpoint X=1');
      c.ack('endpoint');
      await c.expect('listener L=2');
      c.ack('listener');
      await c.expect('route r=2');
      c.ack('route');
      await c.expect('cluster X=eds1');
    },
  },
  {
    name: 'make before break never stalls: refused clusters, answers that never come, types nobody asked for',
    async delta(c) {
      await settled(c);
      c.world(after);
      await c.expect('cluster X=eds1');
      c.nack('cluster', 'X is bad');
      await c.expect('listener L=2');
      c.advance(10_000);
      await c.expect('route r=2');
      c.advance(10_000);
      await c.expect('cluster -Y');
    },
    async sotw(c) {
      c.world({ cluster: { Y: '1' }, listener: { L: '1' }, route: { r: '1' } });
      c.send('listener', { names: [] });
      c.send('route', { names: ['r'] });
      await c.expect('listener L=1', 'route r=1');
      c.world(after);
      await c.expectSilence();
      c.advance(10_000);
      await c.expect('listener L=2');
      c.advance(10_000);
      await c.expect('route r=2');
    },
  },
  {
    name: 'a removal waits for a refused listener to be mended: until then the old one may still use what goes',
    async delta(c) {
      await settled(c);
      c.world({ ...before, cluster: {}, listener: { L: 'bad' } });
      await c.expect('listener L=bad');
      c.nack('listener', 'L is bad');
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
      c.world({ ...before, cluster: {}, listener: { L: 'mended' } });
      await c.expect('listener L=mended');
      c.ack('listener');
      await c.expect('cluster -Y');
    },
    async sotw(c) {
      await settled(c);
      c.world({ ...before, cluster: { Z: '1' }, listener: { L: 'bad' } });
      await c.expect('cluster Y=eds1 Z=1');
      c.ack('cluster');
      await c.expect('listener L=bad');
      c.nack('listener', 'L is bad');
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
      c.world({ ...before, cluster: { Z: '1' }, listener: { L: 'mended' } });
      await c.expect('listener L=mended');
      c.ack('listener');
      await c.expect('cluster Z=1');
    },
  },
  {
    name: 'a changed cluster brings its endpoints again: Envoy warms it until they come',
    async delta(c) {
      await settled(c);
      c.world({ ...before, cluster: { Y: 'eds2' } });
      await c.expect('cluster Y=eds2', 'endpoint Y=1');
      c.ack('cluster');
      c.ack('endpoint');
      await c.expectSilence();
    },
    async sotw(c) {
      await settled(c);
      c.world({ ...before, cluster: { Y: 'eds2' } });
      await c.expect('cluster Y=eds2', 'endpoint Y=1');
      c.ack('cluster');
      c.ack('endpoint');
      await c.expectSilence();
    },
  },
  {
    name: 'a cluster that changed while the client was away brings its endpoints again, whichever is asked for first',
    skip: { sotw: 'there endpoints are always sent after a reconnect' },
    async delta(c) {
      for (const order of [['cluster', 'endpoint'] as const, ['endpoint', 'cluster'] as const]) {
        c.reconnect();
        c.world(before);
        c.send('cluster', {});
        c.send('endpoint', { subscribe: ['Y'] });
        const [versions] = [await c.drain().then(() => ({ Y: c.last('endpoint').versions.Y ?? '' }))];
        c.reconnect();
        for (const type of order) c.send(type, type === 'cluster' ? { initial: { Y: 'stale' } } : { subscribe: ['Y'], initial: versions });
        expect((await c.acceptAll()).sort()).toEqual(['cluster Y=eds1', 'endpoint Y=1']);
      }
    },
  },
  {
    name: 'secrets go one by one: Envoy counts a bad one against all of its response',
    async delta(c) {
      c.world({ secret: { leaf: '1', ca: '1', peers: '1' } });
      c.send('secret', { subscribe: ['leaf', 'ca'] });
      await c.expect('secret leaf=1', 'secret ca=1');
      c.ack('secret');
    },
    async sotw(c) {
      c.world({ secret: { leaf: '1', ca: '1', peers: '1' } });
      c.send('secret', { names: ['leaf', 'ca'] });
      await c.expect('secret leaf=1');
      c.nack('secret', 'bad');
      await c.expect('secret ca=1');
      c.ack('secret');
      await c.expectSilence();
      expect(c.status('secret').nacked?.resources).toEqual(['leaf']);
    },
  },
  {
    name: 'what was refused together is sent once more one by one, so that one bad resource does not stop the others',
    async delta(c) {
      c.world({ cluster: { A: '1', B: 'bad', C: '1' } });
      c.send('cluster', {});
      await c.expect('cluster A=1 B=bad C=1');
      c.nack('cluster', 'a duration is negative');
      await c.expectSilence();
      c.advance(2000);
      await c.expectSilence();
      c.advance(2000);
      const separate = await c.drain();
      expect(separate.map(({ resources }) => resources)).toEqual([['A=1'], ['B=bad'], ['C=1']]);
      for (const { nonce, resources } of separate) c.send('cluster', { nonce, ...(resources[0] === 'B=bad' && { error: 'a duration is negative' }) });
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
      expect(c.status('cluster').nacked?.resources).toEqual(['B']);
      c.world({ cluster: { A: '1', B: '1', C: '1' } });
      await c.expect('cluster B=1');
    },
    async sotw(c) {
      c.world({ cluster: { A: '1', B: 'bad' } });
      c.send('cluster', { names: [] });
      await c.expect('cluster A=1 B=bad');
      c.nack('cluster', 'a duration is negative');
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
      c.world({ endpoint: { a: '1', b: 'bad', c: '1' } });
      expect(await c.acceptAll()).toEqual(['cluster']);
      c.send('endpoint', { names: ['a', 'b', 'c'] });
      await c.expect('endpoint a=1 b=bad c=1');
      c.nack('endpoint', 'no address');
      await c.expectSilence();
      c.advance(4000);
      await c.expect('endpoint a=1');
      c.ack('endpoint');
      await c.expect('endpoint b=bad');
      c.nack('endpoint', 'no address');
      await c.expect('endpoint c=1');
      c.ack('endpoint');
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
      expect(c.status('endpoint').nacked?.resources).toEqual(['b']);
    },
  },
  {
    name: 'a refusal that names its resource is believed: the others were taken',
    async delta(c) {
      c.world({ cluster: { A: '1', B: 'bad' } });
      c.send('cluster', {});
      await c.expect('cluster A=1 B=bad');
      c.nack('cluster', 'Error adding/updating cluster(s) B: no');
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
      expect(c.status('cluster').nacked?.resources).toEqual(['B']);
    },
    async sotw(c) {
      c.world({ endpoint: { a: '1', b: 'bad' } });
      c.send('endpoint', { names: ['a', 'b'] });
      await c.expect('endpoint a=1 b=bad');
      c.nack('endpoint', 'b: no address');
      await c.expectSilence();
      c.advance(60_000);
      await c.expectSilence();
    },
  },
  {
    name: 'routes go one by one, as secrets do',
    async delta(c) {
      c.world({ route: { q: '1', r: '1' } });
      c.send('route', { subscribe: ['q', 'r'] });
      await c.expect('route q=1', 'route r=1');
    },
    async sotw(c) {
      c.world({ route: { q: '1', r: '1' } });
      c.send('route', { names: ['q', 'r'] });
      await c.expect('route q=1');
      c.ack('route');
      await c.expect('route r=1');
    },
  },
];

const before = { cluster: { Y: 'eds1' }, endpoint: { Y: '1' }, listener: { L: '1' }, route: { r: '1' } };
const after = { cluster: { X: 'eds1' }, endpoint: { X: '1' }, listener: { L: '2' }, route: { r: '2' } };

/** A client that has `before`, all of it accepted. */
async function settled(c: Conversation): Promise<void> {
  c.world(before);
  c.send('cluster', { names: [] });
  c.send('endpoint', { subscribe: ['Y'], names: ['Y'] });
  c.send('listener', { names: [] });
  c.send('route', { subscribe: ['r'], names: ['r'] });
  await c.acceptAll();
}
