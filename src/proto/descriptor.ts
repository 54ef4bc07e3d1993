import protobuf from 'protobufjs';
import descriptor from './generated/descriptor.json' with { type: 'json' };

/** The Envoy API that adsum speaks, as scripts/generate-proto.mjs prepared it. */
const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
root.resolveAll();

const types = new Map<string, protobuf.Type | undefined>();

/** The message type with this full name, e.g. `envoy.config.cluster.v3.Cluster`; undefined when adsum does not speak it. */
export function findMessageType(name: string): protobuf.Type | undefined {
  if (!types.has(name)) {
    const found = root.lookup(name);
    types.set(name, found instanceof protobuf.Type ? found : undefined);
  }
  return types.get(name);
}

/** The part of a type URL that names the message. */
export function messageNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

const WRAPPERS = new Set(['Bool', 'String', 'Bytes', 'Int32', 'UInt32', 'Int64', 'UInt64', 'Float', 'Double'].map((name) => `google.protobuf.${name}Value`));
const OTHERS = new Set(['Duration', 'Timestamp', 'Any', 'Value', 'ListValue', 'Struct'].map((name) => `google.protobuf.${name}`));

/** A wrapper's JSON is its bare value. `name` is the message's full name. */
export function isWrapper(name: string): boolean {
  return WRAPPERS.has(name);
}

/** Messages whose JSON is not an object of their fields. Inside an Any it then stands under `value`. */
export function hasOwnJsonForm(name: string): boolean {
  return WRAPPERS.has(name) || OTHERS.has(name);
}
