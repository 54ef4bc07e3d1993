import type { CheckDefinition, Health, Instance } from '../mesh/instance.ts';
import { type Place, type Problem, placed, placeWithin, searchablePlace } from '../mesh/problem.ts';
import type { CheckSettings, NodeDefinition, ServiceDefinition, SidecarProxy } from '../mesh/schema/service.ts';
import { foldName } from '../mesh/service-names.ts';
import { assignSidecarPorts } from './assign-sidecar-ports.ts';
import { checkService } from './check-service.ts';
import { mergeNodes } from './merge-nodes.ts';
import type { ParsedNode, Placed } from './parse-mesh-file.ts';

/** A node's instances as a Consul agent would have registered them, and what is wrong with them. */
export interface ExpandedNode {
  readonly instances: readonly Instance[];
  readonly problems: readonly Problem[];
}

/** All that the mesh files say of one node becomes its instances: sidecars are expanded, defaults filled in, checks summed up. */
export function expandNode(parts: readonly ParsedNode[]): ExpandedNode {
  const { node, problems } = mergeNodes(parts);
  const services = parts.flatMap((part) => part.services);
  const { portOf, problems: portProblems } = assignSidecarPorts(services);
  const health = healthById(node, services);
  const instances: Instance[] = [];
  for (const service of services) {
    const instance = serviceInstance(node, service, health);
    const sidecar = sidecarInstance(node, service, instance, portOf(service));
    instances.push(instance, ...(sidecar ? [sidecar] : []));
  }
  return { instances, problems: [...problems, ...services.flatMap(checkService), ...portProblems, ...duplicateIds(instances)] };
}

function serviceInstance(node: NodeDefinition, { value: service, place }: Placed<ServiceDefinition>, health: ReadonlyMap<string, Health>): Instance {
  const id = service.id ?? service.name;
  const instance: Instance = {
    ...common(node, service),
    id,
    service: service.name,
    kind: service.kind ?? '',
    address: service.address ?? '',
    port: service.port ?? 0,
    tags: service.tags,
    meta: service.meta ?? {},
    health: health.get(id) ?? 'passing',
    connectNative: service.connect?.native ?? false,
    checks: checkDefinitions(service, id),
    ...(service.kind ? { proxy: proxySettings(service.proxy, '', '', 0) } : {}),
    ...(service.locality ? { locality: service.locality } : {}),
  };
  return placed(instance, place);
}

/** `connect.sidecar_service` as the agent expands it. Source: Consul's "sidecar service registration" page and its catalog. */
function sidecarInstance(node: NodeDefinition, { value: service, place }: Placed<ServiceDefinition>, parent: Instance, port: number): Instance | undefined {
  const sidecar = service.connect?.sidecar_service;
  if (!sidecar) return undefined;
  const id = `${parent.id}-sidecar-proxy`;
  const locality = sidecar.locality ?? service.locality;
  const instance: Instance = {
    ...common(node, sidecar),
    id,
    service: sidecar.name ?? `${service.name}-sidecar-proxy`,
    kind: 'connect-proxy',
    address: sidecar.address ?? parent.address,
    port,
    tags: sidecar.tags.length > 0 ? sidecar.tags : parent.tags,
    meta: sidecar.meta ?? parent.meta,
    health: worst([parent.health, ...statuses(sidecar).map(({ status }) => status)]),
    connectNative: false,
    checks: checkDefinitions(sidecar, id),
    proxy: proxySettings(sidecar.proxy, service.name, parent.id, service.port ?? 0, service.socket_path),
    ...(locality ? { locality } : {}),
  };
  return placed(
    instance,
    searchablePlace(place, (path) => placeWithin(place, ['connect', 'sidecar_service', ...path]) ?? place),
  );
}

type Registration = ServiceDefinition | NonNullable<NonNullable<ServiceDefinition['connect']>['sidecar_service']>;

function common(node: NodeDefinition, service: Registration) {
  const tagged = Object.entries(service.tagged_addresses ?? {}).map(
    ([name, { address, port }]) => [name, { address, port: port || (service.port ?? 0) }] as const,
  );
  return {
    node: node.name,
    nodeAddress: node.address ?? '',
    taggedAddresses: Object.fromEntries(tagged),
    weights: { passing: service.weights?.passing ?? 1, warning: service.weights?.warning ?? 1 },
    agentLocal: node.agent_local ?? false,
    ...(service.socket_path ? { socketPath: service.socket_path } : {}),
    ...(node.meta ? { nodeMeta: node.meta } : {}),
    ...(node.tagged_addresses ? { nodeTaggedAddresses: node.tagged_addresses } : {}),
  };
}

/** Without settings of its own a proxy is as good as `proxy: {}`. */
const NO_SETTINGS: SidecarProxy = { upstreams: [], envoy_extensions: [] };

const LOCAL_ADDRESS = '127.0.0.1';

function proxySettings(given: SidecarProxy | undefined, name: string, id: string, port: number, socketPath?: string): NonNullable<Instance['proxy']> {
  const settings = given ?? NO_SETTINGS;
  const socket = settings.local_service_socket_path ?? (settings.local_service_port ? undefined : socketPath);
  return {
    ...settings,
    destination_service_name: settings.destination_service_name ?? name,
    destination_service_id: settings.destination_service_id ?? id,
    local_service_address: settings.local_service_address ?? LOCAL_ADDRESS,
    local_service_port: settings.local_service_port || port,
    ...(socket ? { local_service_socket_path: socket } : {}),
  };
}

function statuses({ check, checks }: Pick<Registration, 'check' | 'checks'>): { status: Health; aliasService?: string }[] {
  return [...(check ? [check] : []), ...checks].map((one) =>
    one.alias_service && !one.status ? { status: 'passing', aliasService: one.alias_service } : { status: one.status ?? 'critical' },
  );
}

/** A service is as healthy as the worst of its checks, its node's, and those of the services its alias checks name. */
function healthById(node: NodeDefinition, services: readonly Placed<ServiceDefinition>[]): Map<string, Health> {
  const ofNode = statuses({ check: undefined, checks: node.checks }).map(({ status }) => status);
  const health = new Map<string, Health>();
  for (const { value } of services) health.set(value.id ?? value.name, worst([...ofNode, ...statuses(value).map(({ status }) => status)]));
  for (const { value } of services) {
    const id = value.id ?? value.name;
    const aliased = statuses(value).flatMap(({ aliasService }) => (aliasService ? [health.get(aliasService) ?? 'passing'] : []));
    if (aliased.length > 0) health.set(id, worst([health.get(id) ?? 'passing', ...aliased]));
  }
  return health;
}

const BY_SEVERITY: readonly Health[] = ['critical', 'warning'];

function worst(all: readonly Health[]): Health {
  return BY_SEVERITY.find((health) => all.includes(health)) ?? 'passing';
}

function checkDefinitions({ check, checks }: Registration, serviceId: string): CheckDefinition[] {
  const all = [...(check ? [check] : []), ...checks];
  return all.map((one, index) => ({
    id: checkId(one, serviceId, all.length > 1 ? `:${index + 1}` : ''),
    ...(one.http ? { http: one.http, ...(one.method ? { method: one.method } : {}) } : {}),
    ...(one.grpc ? { grpc: one.grpc } : {}),
  }));
}

/** Source: Consul numbers the checks of a service where there are several. */
function checkId(check: CheckSettings, serviceId: string, number: string): string {
  return check.check_id ?? check.id ?? `service:${serviceId}${number}`;
}

function duplicateIds(instances: readonly Instance[]): Problem[] {
  const first = new Map<string, Instance>();
  return instances.flatMap((instance) => {
    const earlier = first.get(foldName(instance.id));
    if (!earlier) first.set(foldName(instance.id), instance);
    return earlier ? [duplicateId(instance, earlier)] : [];
  });
}

function duplicateId(instance: Instance, earlier: Instance): Problem {
  return {
    code: 'duplicate-service-id',
    severity: 'error',
    message: `service ID "${instance.id}" is already used on node "${instance.node}"${at(earlier.place)}`,
    ...(instance.place ? { place: placeOfId(instance) } : {}),
    hint: 'give one of them another "id"',
  };
}

function placeOfId({ place }: Instance): Place {
  return placeWithin(place, ['id']) ?? {};
}

function at(place: Place | undefined): string {
  return place?.file ? ` (${place.file}:${place.line})` : '';
}
