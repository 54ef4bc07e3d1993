import type protobuf from 'protobufjs';
import { findMessageType } from './descriptor.ts';
import type { Messages } from './generated/types.ts';
import { decodeMessage } from './json-decoder.ts';
import { encodeMessage } from './json-encoder.ts';
import { ProtoJsonError } from './proto-json-error.ts';

export { ProtoJsonError } from './proto-json-error.ts';

/**
 * Canonical proto3 JSON ⇄ protobuf bytes, for every message of the Envoy API that adsum speaks.
 * Source of the mapping: https://protobuf.dev/programming-guides/json/
 *
 * Field names are the proto's own (`connect_timeout`); lowerCamelCase is understood as well, because users paste both.
 * Equal input gives equal bytes: fields are written in the order of their numbers and map entries in the order of their keys.
 */

/** Encodes `json` as the message `type`, a full name such as `envoy.config.cluster.v3.Cluster`. @throws ProtoJsonError */
export function encode<Name extends keyof Messages>(type: Name, json: Messages[Name]): Uint8Array {
  return encodeMessage(messageType(type), json);
}

/** Like `encode`, for a type known only at run time. @throws ProtoJsonError, also for an unknown type */
export function encodeUnknown(type: string, json: unknown): Uint8Array {
  return encodeMessage(messageType(type), json);
}

/** Decodes bytes to canonical JSON. Fields at their default are left out. */
export function decode<Name extends keyof Messages>(type: Name, bytes: Uint8Array): Messages[Name] {
  return decodeMessage(messageType(type), bytes) as Messages[Name];
}

/** Like `decode`, for a type known only at run time. @throws ProtoJsonError for an unknown type */
export function decodeUnknown(type: string, bytes: Uint8Array): object {
  return decodeMessage(messageType(type), bytes) as object;
}

function messageType(name: string): protobuf.Type {
  const type = findMessageType(name);
  if (!type) throw new ProtoJsonError('', `adsum does not know the message type '${name}'`);
  return type;
}
