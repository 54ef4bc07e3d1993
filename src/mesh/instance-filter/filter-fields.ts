import type { Instance } from '../instance.ts';

/** What a filter may look at: the catalog entry of an instance, by the names Consul gives its fields. */
export type FilterField =
  | { readonly type: 'text' | 'number' | 'flag'; readonly get: (instance: Instance) => string | number | boolean }
  | { readonly type: 'list'; readonly get: (instance: Instance) => readonly string[] }
  /** The user's own keys and values. */
  | { readonly type: 'map'; readonly get: (instance: Instance) => Readonly<Record<string, string>> };

function text(get: (instance: Instance) => string): FilterField {
  return { type: 'text', get };
}

function number(get: (instance: Instance) => number): FilterField {
  return { type: 'number', get };
}

/**
 * For a mesh service the instance is its sidecar, because that is what callers connect to: `Service.ID` is the sidecar's, and
 * so are tags and meta, which a sidecar inherits unless it has its own.
 */
const FIELDS: Readonly<Record<string, FilterField>> = {
  'Node.Node': text((instance) => instance.node),
  'Node.Address': text((instance) => instance.nodeAddress),
  'Node.Meta': { type: 'map', get: (instance) => instance.nodeMeta ?? {} },
  // Of several checks only the worst is known here. Consul is content if any of them fits.
  'Checks.Status': text((instance) => instance.health),
  'Service.Kind': text((instance) => instance.kind),
  'Service.ID': text((instance) => instance.id),
  'Service.Service': text((instance) => instance.service),
  'Service.Address': text((instance) => instance.address),
  'Service.Port': number((instance) => instance.port),
  'Service.SocketPath': text((instance) => instance.socketPath ?? ''),
  'Service.Tags': { type: 'list', get: (instance) => instance.tags },
  'Service.Meta': { type: 'map', get: (instance) => instance.meta },
  'Service.Weights.Passing': number((instance) => instance.weights.passing),
  'Service.Weights.Warning': number((instance) => instance.weights.warning),
  'Service.Connect.Native': { type: 'flag', get: (instance) => instance.connectNative },
  'Service.Proxy.DestinationServiceName': text((instance) => instance.proxy?.destination_service_name ?? ''),
  'Service.Proxy.DestinationServiceID': text((instance) => instance.proxy?.destination_service_id ?? ''),
  'Service.Proxy.LocalServiceAddress': text((instance) => instance.proxy?.local_service_address ?? ''),
  'Service.Proxy.LocalServicePort': number((instance) => instance.proxy?.local_service_port ?? 0),
};

/** The names of all fields, for the hint in a problem. */
export const FILTER_FIELDS: readonly string[] = Object.keys(FIELDS);

/** The field a selector names and, inside a map, the key. `undefined` when there is no such field. */
export function filterField(selector: readonly string[]): { readonly field: FilterField; readonly key?: string } | undefined {
  const whole = ownField(selector.join('.'));
  if (whole) return { field: whole };
  const key = selector.at(-1);
  const map = ownField(selector.slice(0, -1).join('.'));
  return map?.type === 'map' && key !== undefined ? { field: map, key } : undefined;
}

function ownField(path: string): FilterField | undefined {
  return Object.hasOwn(FIELDS, path) ? FIELDS[path] : undefined;
}
