import * as grpc from '@grpc/grpc-js';
import { RESOURCE_TYPES, type ResourceType, type Snapshot } from '../../src/cache/resource.ts';
import { decode, encode } from '../../src/proto/codec.ts';
import { ManualClock } from '../../src/runtime/clock.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import type { ConnectedNode, ProxyDirectory, Subscriber } from '../../src/server/proxy-directory.ts';
import { startXdsServer, type XdsServer } from '../../src/server/xds-server.ts';
import type { Variant } from '../../src/xds/messages.ts';
import type { Got, Sent, Wire, WireStream } from './wire.ts';
import { tagOf } from './world.ts';

type Any = Record<string, unknown> & { '@type': string };

export const ADS = {
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
};

export type RawCall = grpc.ClientDuplexStream<Buffer, Buffer>;

/** A call that sends and receives bytes as they are. */
export function rawCall(client: grpc.Client, path: string, metadata = new grpc.Metadata()): RawCall {
  const asItIs = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(path, asItIs, asItIs, metadata);
  // how it ended is in its status
  call.on('error', () => {});
  return call;
}

/** A directory that knows every proxy, and gives all of them the same. */
export class OneSnapshot implements ProxyDirectory {
  readonly nodes: ConnectedNode[] = [];
  readonly subscribers = new Set<Subscriber>();
  snapshot: Snapshot | undefined;

  connect(node: ConnectedNode, subscriber: Subscriber) {
    this.nodes.push(node);
    this.subscribers.add(subscriber);
    if (this.snapshot) subscriber.update(this.snapshot);
    return { close: () => void this.subscribers.delete(subscriber) };
  }

  publish(snapshot: Snapshot): void {
    this.snapshot = snapshot;
    for (const subscriber of this.subscribers) subscriber.update(snapshot);
  }
}

/** Counts what the server says it did, which tells when it has nothing more to do. */
class CountingLogger implements Logger {
  sent = 0;
  readonly barriers = new Set<string>();
  readonly warnings: object[] = [];
  debug(fields: { type_url?: string }, message: string) {
    if (message === 'response sent') this.sent++;
    if (fields.type_url) this.barriers.add(fields.type_url);
  }
  info() {}
  warn(fields: object) {
    this.warnings.push(fields);
  }
  error(fields: object, message: string) {
    throw new Error(`${message}: ${JSON.stringify(fields)}`);
  }
}

const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Real gRPC on loopback, with the server's clock in the test's hand. */
export async function grpcWire(): Promise<Wire> {
  const clock = new ManualClock();
  const logger = new CountingLogger();
  const directory = new OneSnapshot();
  const server: XdsServer = await startXdsServer({ address: { host: '127.0.0.1', port: 0 }, directory, logger, clock });
  const clients: grpc.Client[] = [];
  let received = 0;
  let barrier = 0;

  /** Until everything sent has arrived, and nothing follows for several turns of the event loop. */
  const untilQuiet = async () => {
    for (let quiet = 0; quiet < 8; ) {
      const before = logger.sent;
      await pause();
      quiet = logger.sent === before && logger.sent === received ? quiet + 1 : 0;
    }
  };

  const open = (variant: Variant): WireStream => {
    const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    clients.push(client);
    const call = rawCall(client, ADS[variant]);
    const arrived: Got[] = [];
    let greeted = false;
    call.on('data', (bytes: Buffer) => {
      received++;
      arrived.push(readGot(variant, bytes));
    });
    const send = (typeUrl: string, request: Omit<Sent, 'type'>) => {
      call.write(encodeSent(variant, typeUrl, request, !greeted));
      greeted = true;
    };
    const stream = clients.length;
    return {
      send: ({ type, ...request }) => send(RESOURCE_TYPES[type], request),
      async drain() {
        // an unknown type is answered with nothing but a line in the log, in the order of the requests
        const mark = `barrier/${++barrier}`;
        if (greeted) {
          send(mark, {});
          while (!logger.barriers.has(mark)) await pause();
        }
        await untilQuiet();
        return arrived.splice(0);
      },
      status: () => server.streams()[stream - 1]?.types ?? [],
    };
  };
  return {
    name: 'gRPC on loopback',
    open,
    publish: (snapshot) => directory.publish(snapshot),
    advance: (ms) => clock.advance(ms),
    async close() {
      for (const client of clients) client.close();
      await server.close();
    },
  };
}

export function encodeSent(variant: Variant, typeUrl: string, request: Omit<Sent, 'type'>, withNode: boolean): Buffer {
  const { subscribe, unsubscribe, initial, names, version, nonce, error } = request;
  const common = {
    ...(withNode && { node: nodeOf('web-sidecar-proxy') }),
    type_url: typeUrl,
    response_nonce: nonce ?? '',
    ...(error !== undefined && { error_detail: { code: 3, message: error } }),
  };
  const bytes =
    variant === 'delta'
      ? encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
          ...common,
          resource_names_subscribe: subscribe ?? [],
          resource_names_unsubscribe: unsubscribe ?? [],
          initial_resource_versions: initial ?? {},
        })
      : encode('envoy.service.discovery.v3.DiscoveryRequest', { ...common, resource_names: names ?? [], version_info: version ?? '' });
  return Buffer.from(bytes);
}

export function nodeOf(id: string, version: readonly [number, number, number] = [1, 36, 4]) {
  const [major_number, minor_number, patch] = version;
  return {
    id,
    cluster: 'web',
    metadata: { node_name: 'vm-web' },
    user_agent_name: 'envoy',
    user_agent_build_version: { version: { major_number, minor_number, patch } },
  };
}

export function readGot(variant: Variant, bytes: Buffer): Got {
  const typeOf = (url: string | undefined) => (Object.keys(RESOURCE_TYPES) as ResourceType[]).find((type) => RESOURCE_TYPES[type] === url) ?? 'cluster';
  const tags = (type: ResourceType, resources: readonly Any[]) =>
    resources.map((resource) => {
      if (resource['@type'] !== RESOURCE_TYPES[type]) throw new Error(`${resource['@type']} in a response of ${type}`);
      return tagOf(type, resource);
    });
  if (variant === 'delta') {
    const response = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes);
    const type = typeOf(response.type_url);
    const resources = response.resources ?? [];
    for (const { ttl } of resources) if (ttl !== undefined) throw new Error('a TTL was sent');
    return {
      type,
      nonce: response.nonce ?? '',
      version: response.system_version_info ?? '',
      resources: tags(
        type,
        resources.map((resource) => resource.resource as Any),
      ),
      versions: Object.fromEntries(resources.map(({ name, version }) => [name ?? '', version ?? ''])),
      removed: response.removed_resources ?? [],
    };
  }
  const response = decode('envoy.service.discovery.v3.DiscoveryResponse', bytes);
  const type = typeOf(response.type_url);
  return {
    type,
    nonce: response.nonce ?? '',
    version: response.version_info ?? '',
    resources: tags(type, (response.resources ?? []) as Any[]),
    versions: {},
    removed: [],
  };
}
