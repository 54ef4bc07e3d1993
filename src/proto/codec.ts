import protobuf from 'protobufjs';
import descriptor from './generated/descriptor.json' with { type: 'json' };
import type { Any, Messages } from './generated/types.ts';

/**
 * Canonical proto3 JSON ⇄ protobuf bytes, for every message of the Envoy API that adsum speaks.
 * Source of the mapping: https://protobuf.dev/programming-guides/json/
 *
 * Field names are the proto's own (`connect_timeout`); lowerCamelCase is understood as well, because users paste both.
 * Equal input gives equal bytes: fields are written in the order of their numbers and map entries in the order of their keys.
 */

const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
root.resolveAll();

const ANY_PREFIX = 'type.googleapis.com/';

/** JSON that does not fit its message. `path` leads to the place, e.g. `transport_socket.typed_config.sni`. */
export class ProtoJsonError extends Error {
  readonly path: string;
  constructor(path: string, reason: string) {
    super(`${path || '(root)'}: ${reason}`);
    this.name = 'ProtoJsonError';
    this.path = path;
  }
}

type Json = Record<string, unknown>;

/** Encodes `json` as the message `type`, a full name such as `envoy.config.cluster.v3.Cluster`. @throws ProtoJsonError */
export function encode<Name extends keyof Messages>(type: Name, json: Messages[Name]): Uint8Array {
  return encodeMessage(messageType(type, ''), json, '');
}

/** Like `encode`, for a type known only at run time. @throws ProtoJsonError, also for an unknown type */
export function encodeUnknown(type: string, json: unknown): Uint8Array {
  return encodeMessage(messageType(type, ''), json, '');
}

/** Decodes bytes to canonical JSON. Fields at their default are left out. */
export function decode<Name extends keyof Messages>(type: Name, bytes: Uint8Array): Messages[Name] {
  return decodeMessage(messageType(type, ''), bytes) as Messages[Name];
}

/** A message in an Any, typed by its full name. */
export function typed<Name extends keyof Messages>(name: Name, message: Messages[Name]): Any {
  return { '@type': `${ANY_PREFIX}${name}`, ...(message as Json) };
}

function messageType(name: string, path: string): protobuf.Type {
  try {
    return root.lookupType(name);
  } catch {
    throw new ProtoJsonError(path, `adsum does not know the message type '${name}'`);
  }
}

function encodeMessage(type: protobuf.Type, json: unknown, path: string): Uint8Array {
  return type.encode(type.create(toMessage(type, json, path) as Json)).finish();
}

/** Messages whose JSON form is not an object of their fields. */
const wrappers = new Set(['Bool', 'String', 'Bytes', 'Int32', 'UInt32', 'Int64', 'UInt64', 'Float', 'Double'].map((name) => `.google.protobuf.${name}Value`));

function toMessage(type: protobuf.Type, json: unknown, path: string): unknown {
  const name = type.fullName;
  if (wrappers.has(name)) return { value: toScalar(type.fields.value as protobuf.Field, json, path) };
  if (name === '.google.protobuf.Duration') return parseDuration(json, path);
  if (name === '.google.protobuf.Timestamp') return parseTimestamp(json, path);
  if (name === '.google.protobuf.Any') return toAny(json, path);
  if (name === '.google.protobuf.Value') return toValue(json);
  if (name === '.google.protobuf.ListValue') return { values: asArray(json, path).map(toValue) };
  if (name === '.google.protobuf.Struct') return toStruct(asObject(json, path));
  const names = fieldNames(type);
  const message: Json = {};
  for (const [key, value] of Object.entries(asObject(json, path))) {
    if (value === undefined || value === null) continue;
    const field = names.get(key);
    if (!field) throw new ProtoJsonError(join(path, key), `${name.slice(1)} has no field of this name`);
    message[field.name] = toField(field, value, join(path, key));
  }
  return message;
}

function toField(field: protobuf.Field, value: unknown, path: string): unknown {
  if (field instanceof protobuf.MapField) {
    const entries = Object.entries(asObject(value, path)).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, item]) => [key, toOne(field, item, join(path, key))]));
  }
  if (field.repeated) return asArray(value, path).map((item, index) => toOne(field, item, `${path}[${index}]`));
  return toOne(field, value, path);
}

function toOne(field: protobuf.Field, value: unknown, path: string): unknown {
  return field.resolvedType instanceof protobuf.Type ? toMessage(field.resolvedType, value, path) : toScalar(field, value, path);
}

function toScalar(field: protobuf.Field, value: unknown, path: string): unknown {
  if (field.resolvedType instanceof protobuf.Enum) {
    const number = typeof value === 'number' ? value : field.resolvedType.values[String(value)];
    if (number === undefined) throw new ProtoJsonError(path, `'${String(value)}' is no ${field.resolvedType.fullName.slice(1)}`);
    return number;
  }
  switch (field.type) {
    case 'bool':
      if (typeof value !== 'boolean') throw new ProtoJsonError(path, 'must be true or false');
      return value;
    case 'string':
      if (typeof value !== 'string') throw new ProtoJsonError(path, 'must be a string');
      return value;
    case 'bytes':
      if (typeof value !== 'string') throw new ProtoJsonError(path, 'must be a base64 string');
      return Buffer.from(value, 'base64');
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return toWide(value, path);
    default: {
      const number = typeof value === 'string' && value !== '' ? Number(value) : value;
      if (typeof number !== 'number' || Number.isNaN(number)) throw new ProtoJsonError(path, 'must be a number');
      const whole = field.type !== 'float' && field.type !== 'double';
      if (whole && !Number.isInteger(number)) throw new ProtoJsonError(path, 'must be a whole number');
      if (field.type.startsWith('u') && number < 0) throw new ProtoJsonError(path, 'must not be negative');
      return number;
    }
  }
}

/** 64-bit numbers travel as strings in JSON; protobufjs takes the two halves. */
function toWide(value: unknown, path: string): unknown {
  let wide: bigint;
  try {
    wide = BigInt(value as string | number);
  } catch {
    throw new ProtoJsonError(path, 'must be a whole number');
  }
  return { low: Number(BigInt.asIntN(32, wide)), high: Number(BigInt.asIntN(32, wide >> 32n)), unsigned: wide >= 0n };
}

function parseDuration(json: unknown, path: string): Json {
  const parts = typeof json === 'string' ? /^(-?)(\d+)(?:\.(\d{1,9}))?s$/.exec(json) : null;
  if (!parts) throw new ProtoJsonError(path, "must be a duration such as '5s' or '0.250s'");
  const sign = parts[1] ? -1 : 1;
  return { seconds: toWide(sign * Number(parts[2]), path), nanos: sign * Number((parts[3] ?? '').padEnd(9, '0')) };
}

function parseTimestamp(json: unknown, path: string): Json {
  const ms = typeof json === 'string' ? Date.parse(json) : Number.NaN;
  if (Number.isNaN(ms)) throw new ProtoJsonError(path, 'must be an RFC 3339 time');
  const seconds = Math.floor(ms / 1000);
  return { seconds: toWide(seconds, path), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

function toAny(json: unknown, path: string): Json {
  const { '@type': url, ...fields } = asObject(json, path);
  if (typeof url !== 'string') throw new ProtoJsonError(join(path, '@type'), 'must name the message type');
  const type = messageType(url.slice(url.lastIndexOf('/') + 1), join(path, '@type'));
  const special = wrappers.has(type.fullName) || /^\.google\.protobuf\.(Duration|Timestamp|Any|Value|ListValue|Struct)$/.test(type.fullName);
  return { type_url: url, value: encodeMessage(type, special ? fields.value : fields, path) };
}

function toStruct(json: Json): Json {
  const entries = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
  return { fields: Object.fromEntries(entries.map(([key, value]) => [key, toValue(value)])) };
}

/** protobufjs brings google.protobuf.Value itself, with its field names in camel case. */
function toValue(json: unknown): Json {
  if (json === null || json === undefined) return { nullValue: 0 };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } };
  return { structValue: toStruct(json as Json) };
}

const namesOf = new WeakMap<protobuf.Type, Map<string, protobuf.Field>>();

function fieldNames(type: protobuf.Type): Map<string, protobuf.Field> {
  let names = namesOf.get(type);
  if (!names) {
    names = new Map();
    for (const field of type.fieldsArray) names.set(protobuf.util.camelCase(field.name), field.resolve()).set(field.name, field);
    namesOf.set(type, names);
  }
  return names;
}

function decodeMessage(type: protobuf.Type, bytes: Uint8Array): unknown {
  return fromMessage(type, type.decode(bytes) as unknown as Json);
}

function fromMessage(type: protobuf.Type, message: Json): unknown {
  const name = type.fullName;
  if (wrappers.has(name)) return fromScalar(type.fields.value as protobuf.Field, message.value);
  if (name === '.google.protobuf.Duration') return formatDuration(message);
  if (name === '.google.protobuf.Timestamp') return new Date(Number(message.seconds) * 1000 + Number(message.nanos) / 1e6).toISOString();
  if (name === '.google.protobuf.Any') return fromAny(message);
  if (name === '.google.protobuf.Value') return fromValue(message);
  if (name === '.google.protobuf.ListValue') return (message.values as Json[]).map(fromValue);
  if (name === '.google.protobuf.Struct') return fromStruct(message);
  const json: Json = {};
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(message, field.name)) continue;
    const value = message[field.name];
    if ((field.repeated && (value as unknown[]).length === 0) || (field.map && Object.keys(value as Json).length === 0)) continue;
    if (field instanceof protobuf.MapField) {
      json[field.name] = Object.fromEntries(Object.entries(value as Json).map(([key, item]) => [key, fromOne(field, item)]));
    } else json[field.name] = field.repeated ? (value as unknown[]).map((item) => fromOne(field, item)) : fromOne(field, value);
  }
  return json;
}

function fromOne(field: protobuf.Field, value: unknown): unknown {
  return field.resolvedType instanceof protobuf.Type ? fromMessage(field.resolvedType, value as Json) : fromScalar(field, value);
}

function fromScalar(field: protobuf.Field, value: unknown): unknown {
  if (field.resolvedType instanceof protobuf.Enum) return field.resolvedType.valuesById[Number(value)] ?? value;
  if (field.type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64');
  return typeof value === 'object' && value !== null ? String(value) : value;
}

function formatDuration({ seconds, nanos }: Json): string {
  const fraction = Number(nanos ?? 0);
  const sign = fraction < 0 && Number(seconds ?? 0) === 0 ? '-' : '';
  const digits =
    fraction === 0
      ? ''
      : `.${String(Math.abs(fraction))
          .padStart(9, '0')
          .replace(/(000){1,2}$/, '')}`;
  return `${sign}${String(seconds ?? 0)}${digits}s`;
}

function fromAny({ type_url: url, value }: Json): unknown {
  const type = root.lookup(String(url).slice(String(url).lastIndexOf('/') + 1));
  if (!(type instanceof protobuf.Type)) return { '@type': url, value: Buffer.from(value as Uint8Array).toString('base64') };
  const json = decodeMessage(type, value as Uint8Array);
  return typeof json === 'object' && !Array.isArray(json) && type.fullName !== '.google.protobuf.Struct'
    ? { '@type': url, ...json }
    : { '@type': url, value: json };
}

function fromStruct(message: Json): Json {
  return Object.fromEntries(Object.entries((message.fields ?? {}) as Json).map(([key, value]) => [key, fromValue(value as Json)]));
}

function fromValue(value: Json): unknown {
  if (Object.hasOwn(value, 'structValue')) return fromStruct(value.structValue as Json);
  if (Object.hasOwn(value, 'listValue')) return ((value.listValue as Json).values as Json[]).map(fromValue);
  if (Object.hasOwn(value, 'numberValue')) return value.numberValue;
  if (Object.hasOwn(value, 'stringValue')) return value.stringValue;
  return Object.hasOwn(value, 'boolValue') ? value.boolValue : null;
}

function asObject(json: unknown, path: string): Json {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new ProtoJsonError(path, 'must be an object');
  return json as Json;
}

function asArray(json: unknown, path: string): unknown[] {
  if (!Array.isArray(json)) throw new ProtoJsonError(path, 'must be a list');
  return json;
}

function join(path: string, key: string): string {
  return path ? `${path}.${key}` : key;
}
