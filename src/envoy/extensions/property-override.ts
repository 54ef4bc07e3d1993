import { RESOURCE_TYPES, type ResourceType } from '../../cache/resource.ts';
import { regexFaultsIn } from '../../mesh/check/regex.ts';
import type { ExtensionArguments } from '../../mesh/schema/extension-arguments.ts';
import { encodeUnknown, ProtoJsonError } from '../../proto/codec.ts';
import { JWKS_CLUSTER_PREFIX } from '../jwt-authn.ts';
import { DENIED, LOCAL_APP } from '../names.ts';
import type { EnvoyResource } from '../resource.ts';
import { servicesByResource } from '../shaped-by.ts';
import { isNestedBeyond, MAX_NESTING } from '../user-json.ts';
import { ExtensionError, type ExtensionInput } from './extension.ts';
import { type Direction, directionOf } from './listeners.ts';

type Patch = ExtensionArguments<'builtin/property-override'>['patches'][number];
type Fields = Readonly<Record<string, unknown>>;

/** Sets or clears single fields of resources, by their names in Envoy's API. */
export function applyPropertyOverride(
  { patches }: ExtensionArguments<'builtin/property-override'>,
  { resources, view, publicListener }: ExtensionInput,
): EnvoyResource[] {
  const services = servicesByResource(view);
  return resources.map((resource) => {
    const matching = patches.filter((patch) => matches(patch, resource, { services, publicListener }));
    if (matching.length === 0) return resource;
    const body = matching.reduce((patched: Fields, patch) => applyPatch(patched, patch), resource.body as Fields);
    checkAgainstApi(resource.type, body);
    return { ...resource, body };
  });
}

const TYPES: Readonly<Record<Patch['resource_filter']['resource_type'], ResourceType>> = {
  cluster: 'cluster',
  'cluster-load-assignment': 'endpoint',
  listener: 'listener',
  route: 'route',
};

function matches(
  { resource_filter: filter }: Patch,
  resource: EnvoyResource,
  { services, publicListener }: { services: ReadonlyMap<string, ReadonlySet<string>>; publicListener: string },
): boolean {
  if (TYPES[filter.resource_type] !== resource.type || sideOf(resource, publicListener) !== filter.traffic_direction) return false;
  if (filter.services.length === 0) return true;
  const own = services.get(`${resource.type}/${resource.name}`);
  return filter.services.some(({ name }) => own?.has(name));
}

/** What is adsum's own and refuses is nobody's to change, nor where the keys come from that tokens are verified with. */
function sideOf(resource: EnvoyResource, publicListener: string): Direction | undefined {
  if (resource.type === 'listener') return directionOf(resource, publicListener);
  if (resource.type !== 'cluster') return 'outbound';
  if (resource.name === DENIED || resource.name.startsWith(JWKS_CLUSTER_PREFIX)) return undefined;
  return resource.name === LOCAL_APP || resource.name.startsWith('exposed_cluster_') ? 'inbound' : 'outbound';
}

/** Of a listener, cluster or route, and of an assignment of endpoints. */
const NAMES: readonly string[] = ['name', 'cluster_name', 'clusterName'];

function applyPatch(body: Fields, { op, path, value }: Patch): Fields {
  const names = path.replace(/^\/+/, '').split('/');
  if (names.length === 1 && NAMES.includes(names[0] ?? '')) throw new ExtensionError(`${path}: a resource keeps its name, by which others find it`);
  if (names.includes('')) throw new ExtensionError(`the path ${JSON.stringify(path)} names no field`);
  if (op === 'remove') return setField(body, names, undefined, path);
  if (value === undefined || value === null) throw new ExtensionError(`${path}: add needs a value`);
  if (isNestedBeyond(value, MAX_NESTING)) throw new ExtensionError(`${path}: the value is nested more than ${MAX_NESTING} levels deep`);
  const [pattern] = regexFaultsIn({ [names.at(-1) ?? '']: value });
  if (pattern) throw new ExtensionError(`${path}: ${pattern.fault}`);
  return setField(body, names, isFields(value) && isDurationFields(value) ? duration(Number(value.seconds ?? 0), Number(value.nanos ?? 0)) : value, path);
}

/** `value` undefined clears the field. Messages on the way come into being, as the API's paths do not ask whether they are there. */
function setField(fields: Fields, [name = '', ...rest]: readonly string[], value: unknown, path: string): Fields {
  const [next] = rest;
  if (next === undefined) return { ...fields, [name]: value };
  const current = fields[name];
  if (Array.isArray(current)) throw new ExtensionError(`${path}: ${name} is a list, whose members cannot be named`);
  if (value === undefined && current === undefined) return fields;
  // Durations are one text in JSON and two fields in the API.
  if (rest.length === 1 && (next === 'seconds' || next === 'nanos') && !isFields(current))
    return { ...fields, [name]: withDurationField(current, next, Number(value ?? 0)) };
  return { ...fields, [name]: setField(isFields(current) ? current : {}, rest, value, path) };
}

function withDurationField(current: unknown, field: 'seconds' | 'nanos', value: number): string {
  const [, seconds = '0', fraction = ''] = /^(-?\d+)(?:\.(\d+))?s$/.exec(typeof current === 'string' ? current : '') ?? [];
  return field === 'seconds' ? duration(value, Number(fraction.padEnd(9, '0'))) : duration(Number(seconds), value);
}

function duration(seconds: number, nanos: number): string {
  return nanos === 0 ? `${seconds}s` : `${seconds}.${String(nanos).padStart(9, '0')}s`;
}

function isDurationFields(value: Fields): boolean {
  const names = Object.keys(value);
  return names.length > 0 && names.every((name) => name === 'seconds' || name === 'nanos');
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkAgainstApi(type: ResourceType, body: Fields): void {
  try {
    encodeUnknown(RESOURCE_TYPES[type].slice('type.googleapis.com/'.length), body);
  } catch (error) {
    if (error instanceof ProtoJsonError) throw new ExtensionError(error.message);
    throw error;
  }
}
