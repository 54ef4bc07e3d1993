import type { CachedResource, Snapshot } from '../../src/cache/resource.ts';
import { decode } from '../../src/proto/codec.ts';
import type { Variant, XdsResponse } from '../../src/xds/messages.ts';
import { Session } from '../../src/xds/session.ts';
import type { Got, Wire, WireStream } from './wire.ts';
import { messageName, tagOf } from './world.ts';

/** The state machines alone. */
export function bareWire(): Wire {
  let now = 0;
  let snapshot: Snapshot | undefined;
  const streams: { publish(snapshot: Snapshot): void; pump(): void }[] = [];
  const open = (variant: Variant): WireStream => {
    const session = new Session(variant, `${streams.length}-`);
    const arrived: Got[] = [];
    const pump = () => {
      for (;;) {
        const { response } = session.next(now);
        if (!response) return;
        arrived.push(read(response));
      }
    };
    const publish = (published: Snapshot) => {
      session.update(published);
      pump();
    };
    streams.push({ publish, pump });
    if (snapshot) publish(snapshot);
    return {
      send({ type, subscribe, unsubscribe, initial, names, version, nonce, error }) {
        const request = {
          type,
          subscribe: subscribe ?? names ?? [],
          unsubscribe: unsubscribe ?? [],
          initialVersions: new Map(Object.entries(initial ?? {})),
          version: version ?? '',
          nonce: nonce ?? '',
          ...(error !== undefined && { error }),
        };
        session.request(request, now);
        pump();
      },
      drain: async () => arrived.splice(0),
      status: () => session.status(),
    };
  };
  return {
    name: 'bare state machine',
    open,
    publish(published) {
      snapshot = published;
      for (const stream of streams) stream.publish(published);
    },
    advance(ms) {
      now += ms;
      for (const stream of streams) stream.pump();
    },
    close: async () => {},
  };
}

export function read({ type, nonce, version, resources, removed }: XdsResponse): Got {
  const tag = (resource: CachedResource) =>
    tagOf(type, decode(messageName(type) as 'envoy.config.cluster.v3.Cluster', resource.bytes) as Record<string, unknown>);
  const versions = Object.fromEntries(resources.map((resource) => [resource.name, resource.version]));
  return { type, nonce, version, resources: resources.map(tag), versions, removed };
}
