import fc from 'fast-check';
import { RESOURCE_TYPES, type ResourceType } from '../../src/cache/resource.ts';
import { decode, encode } from '../../src/proto/codec.ts';
import { ManualClock } from '../../src/runtime/clock.ts';
import { FairQueue } from '../../src/runtime/fair-queue.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { Budget } from '../../src/server/budget.ts';
import type { Connection } from '../../src/server/connection.ts';
import { EncodedResources } from '../../src/server/encoded-resources.ts';
import { defaultLimits, ServerBudgets } from '../../src/server/limits.ts';
import { Pace } from '../../src/server/pace.ts';
import type { ProxyDirectory, Subscriber } from '../../src/server/proxy-directory.ts';
import { StreamLog } from '../../src/server/stream-log.ts';
import { XdsStream } from '../../src/server/xds-stream.ts';
import { snapshotMaker } from '../protocol/world.ts';

// Hostile clients against everything between a gRPC message and a response: decoding, node, session, encoding.

const LIMITS = { ...defaultLimits, namesPerConnection: 60, namesPerProxy: 80, names: 100, streamsPerProxy: 3 };
const types = Object.keys(RESOURCE_TYPES) as ResourceType[];
const pool = ['*', 'A', 'B', 'C', 'leaf', '', '__proto__', 'constructor', 'toString', '\0', '\u{1F600}', '\ud800', 'n'.repeat(1024), 'n'.repeat(1025)];
const name = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...pool) }, { weight: 1, arbitrary: fc.string({ maxLength: 20 }) });
const nameList = fc.oneof(
  { weight: 9, arbitrary: fc.array(name, { maxLength: 5 }) },
  { weight: 1, arbitrary: fc.nat({ max: 90 }).map((count) => Array.from({ length: count }, (_, i) => `n${i}`)) },
);
const word = fc.oneof(
  fc.constantFrom('', 'v', 'no: A', 'cannot take A, B', 'x'.repeat(3000)),
  fc.string({ maxLength: 30 }).map((text) => text.replace(/[\ud800-\udfff]/g, '?')),
);
const typeUrl = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...Object.values(RESOURCE_TYPES)) },
  { weight: 1, arbitrary: fc.constantFrom('', 'x', 'type.googleapis.com/unknown', 'y'.repeat(400)) },
);
const node = fc.record({
  id: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('web', 'api') }, { weight: 1, arbitrary: fc.constantFrom('', '__proto__', 'i'.repeat(1025)) }),
  metadata: fc.dictionary(fc.constantFrom('node_name', 'ipv6', 'x', '__proto__'), fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.constant(null)), {
    noNullPrototype: true,
  }),
  user_agent_name: fc.constantFrom('', 'envoy', 'curl'),
});
const request = fc.record({
  withNode: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: node }),
  typeUrl,
  add: nameList,
  drop: nameList,
  initial: fc.oneof({ weight: 4, arbitrary: fc.constant<string[]>([]) }, { weight: 1, arbitrary: nameList }),
  version: word,
  nonce: fc.oneof(fc.constantFrom('last', 'older', 'none'), word),
  error: fc.option(word, { freq: 3, nil: undefined }),
});
const edits = fc.array(fc.record({ at: fc.nat({ max: 400 }), with: fc.uint8Array({ maxLength: 4 }), drop: fc.nat({ max: 6 }) }), {
  minLength: 1,
  maxLength: 3,
});
const world = fc.dictionary(
  fc.constantFrom('secret', 'cluster', 'endpoint', 'listener', 'route'),
  fc.dictionary(fc.constantFrom('A', 'B', 'C', 'leaf'), fc.constantFrom('1', '2', 'eds1', 'eds2'), { noNullPrototype: true }),
  { noNullPrototype: true },
);
const step = fc.oneof(
  { weight: 10, arbitrary: request.map((one) => ({ op: 'request' as const, request: one })) },
  { weight: 2, arbitrary: fc.tuple(request, edits).map(([one, damage]) => ({ op: 'damaged' as const, request: one, damage })) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => ({ op: 'raw' as const, bytes })) },
  { weight: 3, arbitrary: world.map((state) => ({ op: 'world' as const, state })) },
  { weight: 6, arbitrary: fc.constantFrom({ op: 'flush' as const }, { op: 'open' as const }, { op: 'close' as const }, { op: 'flush' as const }) },
  { weight: 2, arbitrary: fc.constantFrom(1, 300, 4000, 11_000).map((ms) => ({ op: 'wait' as const, ms })) },
);

export const xdsSession = fc.record({
  variant: fc.constantFrom('delta' as const, 'sotw' as const),
  own: fc.option(fc.constantFrom(...types), { freq: 4, nil: undefined }),
  first: node,
  steps: fc.array(step, { minLength: 10, maxLength: 30, size: 'max' }),
});

type FuzzedRequest = typeof request extends fc.Arbitrary<infer One> ? One : never;

/** What is counted is not looked at here, and costs much to set up. */
const metrics = createMetrics();

function broken(what: string): never {
  throw new Error(what);
}

/** @returns how many messages the client sent */
export function runXdsSession({ variant, own, first, steps }: typeof xdsSession extends fc.Arbitrary<infer One> ? One : never): number {
  const clock = new ManualClock(1000);
  const slices: (() => void)[] = [];
  const turns = new FairQueue<() => void>({ work: (turn) => turn(), schedule: (slice) => void slices.push(slice) });
  const settle = () => {
    for (let round = 0; slices.length > 0; round++) {
      if (round > 10_000) broken('it never comes to rest');
      slices.shift()?.();
    }
  };
  const logger: Logger = { debug() {}, info() {}, warn() {}, error: (fields, message) => broken(`${message}: ${JSON.stringify(fields)}`) };
  const budgets = new ServerBudgets(LIMITS);
  const connection = {
    streams: new Budget('', LIMITS.streamsPerConnection),
    names: new Budget('', LIMITS.namesPerConnection),
    inboundBytes: new Budget('', LIMITS.inboundBytesPerConnection),
    pace: new Pace(1000, 1000, 0),
    carried: new Set(),
  } as unknown as Connection;
  const snapshot = snapshotMaker();
  let current = snapshot({ cluster: { A: 'eds1' }, endpoint: { A: '1' } });
  const subscribers = new Set<Subscriber>();
  const directory: ProxyDirectory = {
    connect: (_node, subscriber) => {
      subscribers.add(subscriber);
      subscriber.update(current);
      return { close: () => void subscribers.delete(subscriber) };
    },
  };
  const log = new StreamLog(logger, clock, () => subscribers.size);
  const method = { path: 'p', variant, ...(own ? { typeUrl: RESOURCE_TYPES[own] } : {}) };
  const shared = { directory, logger, clock, budgets, limits: LIMITS, log, metrics, encoded: new EncodedResources(), turns, connection };
  const nonces: string[] = [];
  const seen = new Set<string>();
  let opened = 0;
  let sent = 0;
  let toGreet = true;
  let flush: (() => void) | undefined;
  let stream: XdsStream | undefined;

  const open = () => {
    stream?.close();
    flush = undefined;
    toGreet = true;
    const number = ++opened;
    const transport = {
      peer: '127.0.0.1:5',
      proof: {},
      write(message: Buffer, flushed: () => void) {
        if (flush) broken('a response before the last one was flushed');
        flush = flushed;
        checkResponse(variant, message, seen, nonces);
      },
      done() {},
      end() {
        flush = undefined;
      },
    };
    stream = new XdsStream(method, transport, { ...shared, number, noncePrefix: `${number}-` });
  };
  const message = ({ withNode, typeUrl: url, add, drop, initial, version, nonce, error }: FuzzedRequest): Buffer => {
    const said = nonce === 'last' ? nonces.at(-1) : nonce === 'older' ? nonces.at(-2) : nonce === 'none' ? '' : nonce;
    const greeting = toGreet ? first : withNode;
    toGreet = false;
    const common = {
      ...(greeting && { node: greeting }),
      type_url: own && url.length < 300 && url !== '' ? RESOURCE_TYPES[own] : url,
      response_nonce: said ?? '',
      ...(error !== undefined && { error_detail: { code: 3, message: error } }),
    };
    return Buffer.from(
      variant === 'delta'
        ? encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
            ...common,
            resource_names_subscribe: add,
            resource_names_unsubscribe: drop,
            initial_resource_versions: Object.fromEntries(initial.map((one) => [one, version])),
          })
        : encode('envoy.service.discovery.v3.DiscoveryRequest', { ...common, resource_names: add, version_info: version }),
    );
  };
  const receive = (bytes: Buffer) => {
    sent++;
    if (!stream || stream.closed) open();
    stream?.receive(bytes);
    settle();
  };

  open();
  for (const one of steps) {
    if (one.op === 'request') receive(message(one.request));
    else if (one.op === 'damaged') receive(damaged(message(one.request), one.damage));
    else if (one.op === 'raw') receive(Buffer.from(one.bytes));
    else if (one.op === 'open') open();
    else if (one.op === 'close') stream?.close();
    else if (one.op === 'wait') clock.advance(one.ms);
    else if (one.op === 'world') {
      current = snapshot(one.state);
      for (const subscriber of [...subscribers]) subscriber.update(current);
    } else {
      const flushed = flush;
      flush = undefined;
      flushed?.();
    }
    settle();
    if (budgets.names.used > LIMITS.names || connection.names.used > LIMITS.namesPerConnection) broken('more names than there may be');
  }
  stream?.close();
  const left = [budgets.names.used, budgets.streams.used, budgets.proxies, connection.names.used, subscribers.size];
  if (left.some((amount) => amount !== 0)) broken(`not given back: ${left.join(' ')}`);
  return sent;
}

function checkResponse(variant: 'delta' | 'sotw', bytes: Buffer, seen: Set<string>, nonces: string[]): void {
  const response =
    variant === 'delta' ? decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes) : decode('envoy.service.discovery.v3.DiscoveryResponse', bytes);
  const { nonce = '', type_url = '' } = response;
  if (nonce === '' || seen.has(nonce)) broken(`the nonce '${nonce}' is not new`);
  seen.add(nonce);
  nonces.push(nonce);
  if (!Object.values<string>(RESOURCE_TYPES).includes(type_url)) broken(`a response of the type '${type_url}'`);
  if (variant === 'sotw') return;
  const { resources = [], removed_resources = [] } = response as { resources?: { name?: string }[]; removed_resources?: string[] };
  const names = [...resources.map((resource) => resource.name ?? ''), ...removed_resources];
  if (new Set(names).size !== names.length) broken('a name twice in one response');
}

function damaged(bytes: Buffer, damage: readonly { at: number; with: Uint8Array; drop: number }[]): Buffer {
  let result = bytes;
  for (const one of damage) {
    const at = Math.min(one.at, result.length);
    result = Buffer.concat([result.subarray(0, at), one.with, result.subarray(at + one.drop)]);
  }
  return result;
}
