import type { X509Certificate } from 'node:crypto';
import type { Snapshot } from '../cache/resource.ts';
import type { Verdict } from '../xds/status.ts';

/** What a proxy says of itself in the first message of its stream. */
export interface ConnectedNode {
  /** The proxy's service ID. Never empty. */
  readonly id: string;
  /** `node_name` of the metadata: the catalog node, needed where one ID is used on several. */
  readonly nodeName?: string;
  /** `ipv6` of the metadata, set by `adsum bootstrap`: the host has an IPv6 loopback, so listeners may bind `::1` and `::`. */
  readonly ipv6: boolean;
  /** `[1, 36, 4]`; undefined when the client did not say, as clients other than Envoy do. */
  readonly envoyVersion?: readonly [number, number, number];
  /** Address and port of the client. */
  readonly peer: string;
  /** `x-consul-token` of the call's metadata, or what follows `Bearer` in its `authorization`. */
  readonly token?: string;
  /** What the client presented in the TLS handshake, if the server trusts who signed it. */
  readonly certificate?: X509Certificate;
}

/** Names of gRPC status codes that a stream can be ended with. */
export type EndCode =
  | 'OK'
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'UNAVAILABLE'
  | 'INTERNAL'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'UNIMPLEMENTED';

/** The stream of one proxy, as the control plane sees it. Both methods may be called at any time; after the end they do nothing. */
export interface Subscriber {
  /**
   * Everything the proxy should have now. Equal snapshots cost nothing and send nothing. `answered` is called once, when the proxy has
   * answered all of it or of what came after it, or the stream has ended, with the bytes that it was sent meanwhile.
   */
  update(snapshot: Snapshot, answered?: (bytes: number) => void): void;
  /** Ends the stream with a status that the proxy's operator can read. */
  end(code: EndCode, message: string): void;
}

/** Who knows what each proxy should have. A stream whose proxy is unknown stays open and silent until `update` is called. */
export interface ProxyDirectory {
  /** Called once per stream. */
  connect(node: ConnectedNode, subscriber: Subscriber): ProxyConnection;
}

/** What a stream tells of its proxy. */
export interface ProxyConnection {
  /** Called once, when the stream has ended, whoever ended it. */
  close(): void;
  /** The proxy has accepted or refused what it was sent, or brought it along from an earlier stream. */
  answered?(verdict: Verdict): void;
}
