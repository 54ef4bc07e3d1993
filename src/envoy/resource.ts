import type { ResourceType } from '../cache/resource.ts';
import type { ProxyContext } from '../topology/proxy-view.ts';
import type { Tracing } from './http-connection-manager.ts';

/** A resource as plain data: canonical proto3 JSON of its message, with the proto's field names. */
export interface EnvoyResource<Body extends object = object> {
  readonly type: ResourceType;
  readonly name: string;
  readonly body: Body;
  /** The part of a view that it was made from: for explanations, not for Envoy. */
  readonly madeFrom?: object;
}

/** What a builder may know of the Envoy it builds for. */
export interface EnvoyTraits {
  /** `[1, 36, 4]`; undefined when the node did not say. */
  readonly version?: readonly [number, number, number];
  /** The host has IPv6 loopback, so listeners may bind `::1` and `::` too. Comes from the bootstrap's node metadata. */
  readonly ipv6: boolean;
}

/** What every builder may read beside the part that it builds. */
export interface BuildContext extends ProxyContext {
  readonly traits: EnvoyTraits;
  /** `listenerTracingJson`, read. Undefined: Consul's default. */
  readonly tracing: Tracing | undefined;
}
