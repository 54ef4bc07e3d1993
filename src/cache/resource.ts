/**
 * The resource types adsum delivers. Right of this folder a resource is a name, a version and bytes;
 * what the bytes mean is known only left of it.
 */
export const RESOURCE_TYPES = {
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
} as const;

export type ResourceType = keyof typeof RESOURCE_TYPES;

/** One resource, encoded once. Equal content is one object, so `===` tells whether anything changed. */
export interface CachedResource {
  readonly name: string;
  /** Hash of `bytes`: the same after a restart and on every replica. */
  readonly version: string;
  /** The encoded message, without the Any around it. */
  readonly bytes: Uint8Array;
  /** For a cluster fed by EDS: the name of its assignment. Envoy warms a changed cluster until that is sent again. */
  readonly endpoints?: string;
}

export type ResourcesByName = ReadonlyMap<string, CachedResource>;

/** All that one proxy should have. */
export type Snapshot = Readonly<Record<ResourceType, ResourcesByName>>;
