import protobuf from 'protobufjs';
import { findMessageType, isWrapper, messageNameOf } from './descriptor.ts';

type Json = Record<string, unknown>;

/** Bytes → canonical JSON. Fields at their default are left out. */
export function decodeMessage(type: protobuf.Type, bytes: Uint8Array): unknown {
  return fromMessage(type, type.decode(bytes) as unknown as Json);
}

function fromMessage(type: protobuf.Type, message: Json): unknown {
  const name = type.fullName.slice(1);
  if (isWrapper(name)) return fromScalar(type.fields.value as protobuf.Field, message.value);
  if (name === 'google.protobuf.Duration') return formatDuration(message);
  if (name === 'google.protobuf.Timestamp') return new Date(Number(message.seconds) * 1000 + Number(message.nanos) / 1e6).toISOString();
  if (name === 'google.protobuf.Any') return fromAny(message);
  if (name === 'google.protobuf.Value') return fromValue(message);
  if (name === 'google.protobuf.ListValue') return (message.values as Json[]).map(fromValue);
  if (name === 'google.protobuf.Struct') return fromStruct(message);
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
  const type = findMessageType(messageNameOf(String(url)));
  if (!type) return { '@type': url, value: Buffer.from(value as Uint8Array).toString('base64') };
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
