import protobuf from 'protobufjs';
import { decode } from './codec.ts';

/**
 * The xDS services on the wire. Messages are read and written by hand, field by field: requests carry their node unread,
 * and responses take their resources as bytes that were encoded before.
 * Source of the field numbers: envoy/service/discovery/v3/discovery.proto
 */

/** One streaming method. */
export interface XdsMethod {
  /** Full path, as in the `:path` of the call. */
  readonly path: string;
  readonly variant: 'delta' | 'sotw';
  /** The only type of a per-type service; undefined for ADS. */
  readonly typeUrl?: string;
}

const PREFIX = 'type.googleapis.com/';

const SERVICES = [
  ['cluster.v3.ClusterDiscoveryService', 'Clusters', 'envoy.config.cluster.v3.Cluster'],
  ['endpoint.v3.EndpointDiscoveryService', 'Endpoints', 'envoy.config.endpoint.v3.ClusterLoadAssignment'],
  ['listener.v3.ListenerDiscoveryService', 'Listeners', 'envoy.config.listener.v3.Listener'],
  ['route.v3.RouteDiscoveryService', 'Routes', 'envoy.config.route.v3.RouteConfiguration'],
  ['secret.v3.SecretDiscoveryService', 'Secrets', 'envoy.extensions.transport_sockets.tls.v3.Secret'],
] as const;

/** ADS and the per-type services, each in both variants. */
export const XDS_METHODS: readonly XdsMethod[] = [
  { path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources', variant: 'delta' },
  { path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources', variant: 'sotw' },
  ...SERVICES.flatMap(([service, resources, type]): XdsMethod[] => [
    { path: `/envoy.service.${service}/Delta${resources}`, variant: 'delta', typeUrl: PREFIX + type },
    { path: `/envoy.service.${service}/Stream${resources}`, variant: 'sotw', typeUrl: PREFIX + type },
  ]),
];

/** What both kinds of request have in common. */
interface Request {
  /** Bytes of the node, for `decodeNode`. */
  readonly node?: Uint8Array;
  readonly typeUrl: string;
  readonly nonce: string;
  /** The message of `error_detail`, which is given exactly when the client refused a response. */
  readonly error?: string;
}

export interface SotwRequestMessage extends Request {
  readonly version: string;
  readonly names: readonly string[];
}

export interface DeltaRequestMessage extends Request {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: ReadonlyMap<string, string>;
}

type Reader = protobuf.Reader;

/** Length-delimited, the wire type of strings and messages. */
const bytesField = (number: number) => (number << 3) | 2;

/** Calls `onField` with each field's tag until the end; fields it does not take (returns false) are skipped. */
function readFields(reader: Reader, end: number, onField: (tag: number) => boolean): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!onField(tag)) reader.skipType(tag & 7);
  }
  if (reader.pos > end) throw new RangeError('a field reaches beyond its message');
}

/** @throws Error when the bytes are no DiscoveryRequest */
export function decodeSotwRequest(bytes: Uint8Array): SotwRequestMessage {
  const reader = protobuf.Reader.create(bytes);
  const request: { -readonly [key in keyof SotwRequestMessage]: SotwRequestMessage[key] } = { version: '', typeUrl: '', nonce: '', names: [] };
  const names: string[] = [];
  readFields(reader, reader.len, (tag) => {
    if (tag === bytesField(1)) request.version = reader.string();
    else if (tag === bytesField(2)) request.node = reader.bytes();
    else if (tag === bytesField(3)) names.push(reader.string());
    else if (tag === bytesField(4)) request.typeUrl = reader.string();
    else if (tag === bytesField(5)) request.nonce = reader.string();
    else if (tag === bytesField(6)) request.error = readStatus(reader);
    else return false;
    return true;
  });
  return { ...request, names };
}

/** @throws Error when the bytes are no DeltaDiscoveryRequest */
export function decodeDeltaRequest(bytes: Uint8Array): DeltaRequestMessage {
  const reader = protobuf.Reader.create(bytes);
  const request: { -readonly [key in keyof Request]: Request[key] } = { typeUrl: '', nonce: '' };
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const initialVersions = new Map<string, string>();
  readFields(reader, reader.len, (tag) => {
    if (tag === bytesField(1)) request.node = reader.bytes();
    else if (tag === bytesField(2)) request.typeUrl = reader.string();
    else if (tag === bytesField(3)) subscribe.push(reader.string());
    else if (tag === bytesField(4)) unsubscribe.push(reader.string());
    else if (tag === bytesField(5)) initialVersions.set(...readStringPair(reader));
    else if (tag === bytesField(6)) request.nonce = reader.string();
    else if (tag === bytesField(7)) request.error = readStatus(reader);
    else return false;
    return true;
  });
  return { ...request, subscribe, unsubscribe, initialVersions };
}

/** The message of a google.rpc.Status; one without a message still is a refusal. */
function readStatus(reader: Reader): string {
  let message = '';
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (tag) => {
    if (tag !== bytesField(2)) return false;
    message = reader.string();
    return true;
  });
  return message || 'no reason given';
}

function readStringPair(reader: Reader): [string, string] {
  const pair: [string, string] = ['', ''];
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (tag) => {
    if (tag === bytesField(1)) pair[0] = reader.string();
    else if (tag === bytesField(2)) pair[1] = reader.string();
    else return false;
    return true;
  });
  return pair;
}

/** What adsum reads of a node. */
export interface NodeMessage {
  readonly id: string;
  readonly cluster: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** `envoy` for Envoy. */
  readonly userAgent: string;
  /** Major, minor, patch. */
  readonly version?: readonly [number, number, number];
}

/** @throws Error when the bytes are no Node */
export function decodeNode(bytes: Uint8Array): NodeMessage {
  const node = decode('envoy.config.core.v3.Node', bytes);
  const version = node.user_agent_build_version?.version;
  return {
    id: node.id ?? '',
    cluster: node.cluster ?? '',
    metadata: node.metadata ?? {},
    userAgent: node.user_agent_name ?? '',
    ...(version && { version: [version.major_number ?? 0, version.minor_number ?? 0, version.patch ?? 0] as const }),
  };
}

/** A `Resource` as a field of a DeltaDiscoveryResponse: encoded once, used in the response of every stream. */
export function encodeDeltaResource(typeUrl: string, name: string, version: string, bytes: Uint8Array): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(bytesField(2)).fork();
  writer.uint32(bytesField(1)).string(version);
  writer.uint32(bytesField(2)).fork().uint32(bytesField(1)).string(typeUrl).uint32(bytesField(2)).bytes(bytes).ldelim();
  writer.uint32(bytesField(3)).string(name);
  return writer.ldelim().finish();
}

/** An `Any` as a field of a DiscoveryResponse: encoded once, used in the response of every stream. */
export function encodeSotwResource(typeUrl: string, bytes: Uint8Array): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(bytesField(2)).fork().uint32(bytesField(1)).string(typeUrl).uint32(bytesField(2)).bytes(bytes);
  return writer.ldelim().finish();
}

interface ResponseFields {
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  /** From `encodeDeltaResource` or `encodeSotwResource`. */
  readonly resources: readonly Uint8Array[];
}

export function encodeDeltaResponse({ typeUrl, version, nonce, resources, removed }: ResponseFields & { readonly removed: readonly string[] }): Buffer {
  const writer = protobuf.Writer.create();
  writer.uint32(bytesField(1)).string(version).uint32(bytesField(4)).string(typeUrl).uint32(bytesField(5)).string(nonce);
  for (const name of removed) writer.uint32(bytesField(6)).string(name);
  return Buffer.concat([...resources, writer.finish()]);
}

export function encodeSotwResponse({ typeUrl, version, nonce, resources }: ResponseFields): Buffer {
  const writer = protobuf.Writer.create();
  writer.uint32(bytesField(1)).string(version).uint32(bytesField(4)).string(typeUrl).uint32(bytesField(5)).string(nonce);
  return Buffer.concat([...resources, writer.finish()]);
}
