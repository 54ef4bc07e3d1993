import protobuf from 'protobufjs';
import { findMessageType, hasOwnJsonForm, isWrapper, messageNameOf } from './descriptor.ts';
import { ProtoJsonError } from './proto-json-error.ts';

/**
 * Canonical JSON straight to the wire, without a message object between. Each message type is looked at once and becomes a list
 * of writers; fields go out in the order of their numbers and map entries in the order of their keys.
 */

type Json = Record<string, unknown>;
type Writer = protobuf.Writer;
/** Writes a value that has its tag already; a message without its length. */
type Write = (writer: Writer, value: unknown) => void;

interface FieldWriter {
  readonly id: number;
  readonly name: string;
  /** Tag and value. */
  readonly write: Write;
}

const LENGTH_DELIMITED = 2;
const messageWriters = new Map<protobuf.Type, Write>();

/** @throws ProtoJsonError where `json` does not fit `type` */
export function encodeMessage(type: protobuf.Type, json: unknown): Uint8Array {
  const writer = protobuf.Writer.create();
  writerOf(type)(writer, json);
  return writer.finish();
}

function writerOf(type: protobuf.Type): Write {
  let write = messageWriters.get(type);
  if (!write) {
    const name = type.fullName.slice(1);
    write = isWrapper(name) ? wrapperWriter(type) : (SPECIAL[name] ?? fieldsWriter(type, name));
    messageWriters.set(type, write);
  }
  return write;
}

function fieldsWriter(type: protobuf.Type, typeName: string): Write {
  const byName = new Map<string, FieldWriter>();
  for (const field of type.fieldsArray) {
    const writer = fieldWriter(field.resolve());
    byName.set(protobuf.util.camelCase(field.name), writer).set(field.name, writer);
  }
  return (writer, json) => {
    const object = asObject(json);
    const present: [FieldWriter, unknown][] = [];
    for (const key in object) {
      const value = object[key];
      if (value === undefined || value === null) continue;
      const field = byName.get(key);
      if (!field) throw new ProtoJsonError(key, `${typeName} has no field of this name`);
      present.push([field, value]);
    }
    present.sort(([a], [b]) => a.id - b.id);
    for (const [field, value] of present) at(field.name, field.write, writer, value);
  };
}

function fieldWriter(field: protobuf.Field): FieldWriter {
  const { id, name } = field;
  const one = valueWriter(field);
  if (field instanceof protobuf.MapField) return { id, name, write: mapWriter(field, one) };
  const tag = tagOf(id, wireType(field));
  const single: Write = (writer, value) => {
    writer.uint32(tag);
    one(writer, value);
  };
  if (!field.repeated) return { id, name, write: single };
  return {
    id,
    name,
    write: (writer, value) => {
      for (const [index, item] of asArray(value).entries()) at(index, single, writer, item);
    },
  };
}

/** A map is a list of entries, each with its key as field 1 and its value as field 2. Keys of Envoy's maps are strings. */
function mapWriter(field: protobuf.FieldBase, value: Write): Write {
  const tag = tagOf(field.id, LENGTH_DELIMITED);
  const valueTag = tagOf(2, wireType(field));
  return (writer, json) => {
    const object = asObject(json);
    for (const key of Object.keys(object).sort()) {
      writer.uint32(tag).fork().uint32(tagOf(1, LENGTH_DELIMITED)).string(key).uint32(valueTag);
      at(key, value, writer, object[key]);
      writer.ldelim();
    }
  };
}

function valueWriter(field: protobuf.Field): Write {
  const type = field.resolvedType;
  if (!(type instanceof protobuf.Type)) return scalarWriter(field);
  let message: Write | undefined; // found at first use, because messages contain themselves
  return (writer, value) => {
    message ??= writerOf(type);
    writer.fork();
    message(writer, value);
    writer.ldelim();
  };
}

function scalarWriter(field: protobuf.Field): Write {
  const type = field.resolvedType;
  if (type instanceof protobuf.Enum) {
    return (writer, value) => {
      const number = typeof value === 'number' ? value : type.values[String(value)];
      if (number === undefined) throw new ProtoJsonError('', `'${String(value)}' is no ${type.fullName.slice(1)}`);
      writer.int32(number);
    };
  }
  switch (field.type) {
    case 'bool':
      return (writer, value) => {
        if (typeof value !== 'boolean') throw new ProtoJsonError('', 'must be true or false');
        writer.bool(value);
      };
    case 'string':
      return (writer, value) => {
        if (typeof value !== 'string') throw new ProtoJsonError('', 'must be a string');
        writer.string(value);
      };
    case 'bytes':
      return (writer, value) => {
        if (typeof value !== 'string') throw new ProtoJsonError('', 'must be a base64 string');
        writer.bytes(Buffer.from(value, 'base64'));
      };
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64': {
      const type64 = field.type;
      return (writer, value) => void writer[type64](wide(value));
    }
    default: {
      const type32 = field.type as 'uint32' | 'int32' | 'sint32' | 'fixed32' | 'sfixed32' | 'float' | 'double';
      return (writer, value) => void writer[type32](number32(type32, value));
    }
  }
}

function number32(type: string, value: unknown): number {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) throw new ProtoJsonError('', 'must be a number');
  if (type === 'float' || type === 'double') return number;
  if (!Number.isInteger(number)) throw new ProtoJsonError('', 'must be a whole number');
  if (type === 'uint32' && number < 0) throw new ProtoJsonError('', 'must not be negative');
  return number;
}

/** 64-bit numbers travel as strings in JSON; protobufjs takes the two halves. */
function wide(value: unknown): protobuf.Long {
  let whole: bigint;
  try {
    whole = BigInt(value as string | number);
  } catch {
    throw new ProtoJsonError('', 'must be a whole number');
  }
  return { low: Number(BigInt.asIntN(32, whole)), high: Number(BigInt.asIntN(32, whole >> 32n)), unsigned: whole >= 0n } as protobuf.Long;
}

function wrapperWriter(type: protobuf.Type): Write {
  const field = type.fields.value;
  if (!field) throw new Error(`${type.fullName} is no wrapper`);
  const { write } = fieldWriter(field.resolve());
  return (writer, value) => write(writer, value);
}

const SPECIAL: Readonly<Record<string, Write>> = {
  'google.protobuf.Duration': (writer, json) => {
    const parts = typeof json === 'string' ? /^(-?)(\d+)(?:\.(\d{1,9}))?s$/.exec(json) : null;
    if (!parts) throw new ProtoJsonError('', "must be a duration such as '5s' or '0.250s'");
    const sign = parts[1] ? -1 : 1;
    writeTime(writer, sign * Number(parts[2]), sign * Number((parts[3] ?? '').padEnd(9, '0')));
  },
  'google.protobuf.Timestamp': (writer, json) => {
    const ms = typeof json === 'string' ? Date.parse(json) : Number.NaN;
    if (Number.isNaN(ms)) throw new ProtoJsonError('', 'must be an RFC 3339 time');
    const seconds = Math.floor(ms / 1000);
    writeTime(writer, seconds, Math.round((ms - seconds * 1000) * 1e6));
  },
  'google.protobuf.Any': (writer, json) => {
    const { '@type': url, ...fields } = asObject(json);
    if (typeof url !== 'string') throw new ProtoJsonError('@type', 'must name the message type');
    const name = messageNameOf(url);
    const type = findMessageType(name);
    if (!type) throw new ProtoJsonError('@type', `adsum does not know the message type '${name}'`);
    writer.uint32(tagOf(1, LENGTH_DELIMITED)).string(url).uint32(tagOf(2, LENGTH_DELIMITED)).fork();
    writerOf(type)(writer, hasOwnJsonForm(name) ? fields.value : fields);
    writer.ldelim();
  },
  'google.protobuf.Struct': (writer, json) => {
    const object = asObject(json);
    for (const key of Object.keys(object).sort()) {
      writer.uint32(tagOf(1, LENGTH_DELIMITED)).fork().uint32(tagOf(1, LENGTH_DELIMITED)).string(key);
      writer.uint32(tagOf(2, LENGTH_DELIMITED)).fork();
      writeValue(writer, object[key]);
      writer.ldelim().ldelim();
    }
  },
  'google.protobuf.ListValue': (writer, json) => {
    for (const item of asArray(json)) {
      writer.uint32(tagOf(1, LENGTH_DELIMITED)).fork();
      writeValue(writer, item);
      writer.ldelim();
    }
  },
  'google.protobuf.Value': writeValue,
};

/** Fields of google.protobuf.Value: null 1, number 2, string 3, bool 4, struct 5, list 6. */
function writeValue(writer: Writer, json: unknown): void {
  if (json === null || json === undefined) writer.uint32(tagOf(1, 0)).int32(0);
  else if (typeof json === 'number') writer.uint32(tagOf(2, 1)).double(json);
  else if (typeof json === 'string') writer.uint32(tagOf(3, LENGTH_DELIMITED)).string(json);
  else if (typeof json === 'boolean') writer.uint32(tagOf(4, 0)).bool(json);
  else {
    const list = Array.isArray(json);
    writer.uint32(tagOf(list ? 6 : 5, LENGTH_DELIMITED)).fork();
    SPECIAL[list ? 'google.protobuf.ListValue' : 'google.protobuf.Struct']?.(writer, json);
    writer.ldelim();
  }
}

/** Seconds are field 1, nanoseconds field 2, of durations and timestamps alike. */
function writeTime(writer: Writer, seconds: number, nanos: number): void {
  if (seconds !== 0) writer.uint32(tagOf(1, 0)).int64(wide(seconds));
  if (nanos !== 0) writer.uint32(tagOf(2, 0)).int32(nanos);
}

function wireType(field: protobuf.FieldBase): number {
  if (field.resolvedType instanceof protobuf.Type) return LENGTH_DELIMITED;
  return protobuf.types.basic[field.resolvedType instanceof protobuf.Enum ? 'int32' : (field.type as 'string')];
}

function tagOf(id: number, wire: number): number {
  return ((id << 3) | wire) >>> 0;
}

function asObject(json: unknown): Json {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new ProtoJsonError('', 'must be an object');
  return json as Json;
}

function asArray(json: unknown): unknown[] {
  if (!Array.isArray(json)) throw new ProtoJsonError('', 'must be a list');
  return json;
}

/** Writes a part; a defect in it gets this part's name in front of its path. Paths are put together only when there is a defect. */
function at(part: string | number, write: Write, writer: Writer, value: unknown): void {
  try {
    write(writer, value);
  } catch (error) {
    throw error instanceof ProtoJsonError ? error.within(part) : error;
  }
}
