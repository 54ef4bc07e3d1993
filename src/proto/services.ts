import protobuf from 'protobufjs';

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

/** A request asks adsum to keep more than it is willing to. */
export class RequestTooLargeError extends Error {}

/** In UTF-8. Consul's names are DNS labels and Envoy's are made of them; 1 KiB leaves room for users' own. */
const MOST_NAME_BYTES = 1024;
/** Nonces, versions and type URLs: what is longer is none of ours, and its end is not looked at. */
const MOST_WORD_BYTES = 256;
/** Envoy writes a line for each resource that it refuses, with the name in it; the rest is not looked at. */
const MOST_ERROR_BYTES = 16 * 1024;

/** Length-delimited, the wire type of strings and messages. */
const bytesField = (number: number) => (number << 3) | 2;
/** Numbers and booleans. */
const varintField = (number: number) => number << 3;

/** Calls `onField` with each field's tag until the end; fields it does not take (returns false) are skipped. */
function readFields(reader: Reader, end: number, onField: (tag: number) => boolean): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!onField(tag)) reader.skipType(tag & 7);
  }
  if (reader.pos > end) throw new RangeError('a field reaches beyond its message');
}

/** The start of a text from outside, as a string of its own: nothing holds on to the message it came in. */
function readStart(reader: Reader, mostBytes: number): string {
  const bytes = reader.bytes();
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, mostBytes)).toString();
}

function readName(reader: Reader): string {
  const bytes = reader.bytes();
  if (bytes.length > MOST_NAME_BYTES) throw new RequestTooLargeError(`a name has ${bytes.length} bytes, more than ${MOST_NAME_BYTES}`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}

/** A message inside another. */
function readMessage(reader: Reader, onField: (tag: number) => boolean): void {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError('a message reaches beyond the one around it');
  readFields(reader, end, onField);
}

/**
 * @param mostNames above this the rest is not read
 * @throws RequestTooLargeError, or another Error when the bytes are no DiscoveryRequest
 */
export function decodeSotwRequest(bytes: Uint8Array, mostNames = Number.POSITIVE_INFINITY): SotwRequestMessage {
  const reader = protobuf.Reader.create(bytes);
  const request: { -readonly [key in keyof SotwRequestMessage]: SotwRequestMessage[key] } = { version: '', typeUrl: '', nonce: '', names: [] };
  const names: string[] = [];
  readFields(reader, reader.len, (tag) => {
    if (tag === bytesField(1)) request.version = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(2)) request.node = reader.bytes();
    else if (tag === bytesField(3)) {
      if (names.push(readName(reader)) > mostNames) throw tooManyNames(mostNames);
    } else if (tag === bytesField(4)) request.typeUrl = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(5)) request.nonce = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(6)) request.error = readStatus(reader);
    else return false;
    return true;
  });
  return { ...request, names };
}

/**
 * @param mostNames above this the rest is not read
 * @throws RequestTooLargeError, or another Error when the bytes are no DeltaDiscoveryRequest
 */
export function decodeDeltaRequest(bytes: Uint8Array, mostNames = Number.POSITIVE_INFINITY): DeltaRequestMessage {
  const reader = protobuf.Reader.create(bytes);
  const request: { -readonly [key in keyof Request]: Request[key] } = { typeUrl: '', nonce: '' };
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const initialVersions = new Map<string, string>();
  let names = 0;
  const count = () => {
    if (++names > mostNames) throw tooManyNames(mostNames);
  };
  readFields(reader, reader.len, (tag) => {
    if (tag === bytesField(1)) request.node = reader.bytes();
    else if (tag === bytesField(2)) request.typeUrl = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(3)) {
      count();
      subscribe.push(readName(reader));
    } else if (tag === bytesField(4)) {
      count();
      unsubscribe.push(readName(reader));
    } else if (tag === bytesField(5)) {
      count();
      initialVersions.set(...readInitialVersion(reader));
    } else if (tag === bytesField(6)) request.nonce = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(7)) request.error = readStatus(reader);
    else return false;
    return true;
  });
  return { ...request, subscribe, unsubscribe, initialVersions };
}

function tooManyNames(most: number): RequestTooLargeError {
  return new RequestTooLargeError(`more than ${most} names in one request`);
}

/** The message of a google.rpc.Status; one without a message still is a refusal. */
function readStatus(reader: Reader): string {
  let message = '';
  readMessage(reader, (tag) => {
    if (tag !== bytesField(2)) return false;
    message = readStart(reader, MOST_ERROR_BYTES);
    return true;
  });
  return message || 'no reason given';
}

/** An entry of initial_resource_versions: name and version. */
function readInitialVersion(reader: Reader): [string, string] {
  const pair: [string, string] = ['', ''];
  readMessage(reader, (tag) => {
    if (tag === bytesField(1)) pair[0] = readName(reader);
    else if (tag === bytesField(2)) pair[1] = readStart(reader, MOST_WORD_BYTES);
    else return false;
    return true;
  });
  return pair;
}

/** What adsum reads of a node; whatever else a client says of itself is skipped unread. */
export interface NodeMessage {
  readonly id: string;
  /** `node_name` of the metadata. Empty: not given. */
  readonly nodeName: string;
  /** `ipv6` of the metadata, which `adsum bootstrap` sets. */
  readonly ipv6: boolean;
  /** `envoy` for Envoy. */
  readonly userAgent: string;
  /** Major, minor, patch. */
  readonly version?: readonly [number, number, number];
}

/**
 * Source of the field numbers: envoy/config/core/v3/base.proto, envoy/type/v3/semantic_version.proto, google/protobuf/struct.proto
 * @throws RequestTooLargeError, or another Error when the bytes are no Node
 */
export function decodeNode(bytes: Uint8Array): NodeMessage {
  const reader = protobuf.Reader.create(bytes);
  const node: { -readonly [key in keyof NodeMessage]: NodeMessage[key] } = { id: '', nodeName: '', ipv6: false, userAgent: '' };
  readFields(reader, reader.len, (tag) => {
    if (tag === bytesField(1)) node.id = readName(reader);
    else if (tag === bytesField(3)) readMessage(reader, (inner) => inner === bytesField(1) && readMetadata(reader, node));
    else if (tag === bytesField(6)) node.userAgent = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(8)) readMessage(reader, (inner) => inner === bytesField(1) && readVersion(reader, node));
    else return false;
    return true;
  });
  return node;
}

/** One entry of the metadata; a key stands before its value. */
function readMetadata(reader: Reader, node: { nodeName: string; ipv6: boolean }): true {
  let key = '';
  readMessage(reader, (tag) => {
    if (tag === bytesField(1)) key = readStart(reader, MOST_WORD_BYTES);
    else if (tag === bytesField(2) && (key === 'node_name' || key === 'ipv6')) {
      readMessage(reader, (kind) => {
        if (kind === bytesField(3) && key === 'node_name') node.nodeName = readName(reader);
        else if (kind === varintField(4) && key === 'ipv6') node.ipv6 = reader.bool();
        else return false;
        return true;
      });
    } else return false;
    return true;
  });
  return true;
}

function readVersion(reader: Reader, node: { version?: readonly [number, number, number] }): true {
  const version: [number, number, number] = [0, 0, 0];
  readMessage(reader, (tag) => {
    if (tag === varintField(1)) version[0] = reader.uint32();
    else if (tag === varintField(2)) version[1] = reader.uint32();
    else if (tag === varintField(3)) version[2] = reader.uint32();
    else return false;
    return true;
  });
  node.version = version;
  return true;
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
