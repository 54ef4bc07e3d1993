/**
 * The name Consul gives to a set of overrides: the first 8 digits of mitchellh/hashstructure (version 1) over the structure
 * `{OverrideMeshGateway: MeshGatewayConfig{Mode}, OverrideProtocol, OverrideConnectTimeout}`. Clusters and therefore statistics
 * bear it, so dashboards depend on its value.
 *
 * The rule of that library: a string or number is the FNV-1 hash of its bytes; a structure is the hash of its type's name,
 * xor-ed with one hash per field, which covers the hash of the field's name followed by that of its value.
 */
export function customizationHash(overrides: { mesh_gateway_mode?: string; protocol?: string; connect_timeout_ms?: number }): string {
  const nanoseconds = BigInt(Math.round((overrides.connect_timeout_ms ?? 0) * 1e6));
  const meshGateway = structure('MeshGatewayConfig', { Mode: ofText(overrides.mesh_gateway_mode ?? '') });
  const whole = structure('', {
    OverrideMeshGateway: meshGateway,
    OverrideProtocol: ofText(overrides.protocol ?? ''),
    OverrideConnectTimeout: fnv1(littleEndian(nanoseconds)),
  });
  return whole.toString(16).slice(0, 8);
}

function structure(typeName: string, fields: Readonly<Record<string, bigint>>): bigint {
  return Object.entries(fields).reduce((hash, [name, value]) => hash ^ fnv1([...littleEndian(ofText(name)), ...littleEndian(value)]), ofText(typeName));
}

function ofText(text: string): bigint {
  return fnv1(new TextEncoder().encode(text));
}

function littleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, value), true);
  return bytes;
}

/** 64-bit FNV-1: multiply, then xor. */
function fnv1(bytes: Iterable<number>): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, hash * 0x100000001b3n) ^ BigInt(byte);
  return hash;
}
