import type { Health, Instance, ServiceKind } from '../../mesh/instance.ts';
import type { Problem } from '../../mesh/problem.ts';
import { parserOf } from '../../mesh/schema/parser.ts';
import { sidecarProxySchema } from '../../mesh/schema/service.ts';
import { type CatalogService, parseCatalogService, type RawCheck, type RawNode } from './catalog.ts';
import { parseTolerantly } from './parse-tolerantly.ts';

/** Consul's servers register themselves under this name; they are no part of the mesh. */
const CONSUL_ITSELF = 'consul';
const KINDS: ReadonlySet<string> = new Set<ServiceKind>(['', 'connect-proxy', 'mesh-gateway', 'terminating-gateway', 'ingress-gateway', 'api-gateway']);
const LOCAL_ADDRESS = '127.0.0.1';

const parseProxy = parserOf(sidecarProxySchema);

interface Known {
  /** What the instance was made of, apart from its health. */
  readonly source: string;
  readonly instance: Instance;
  readonly createIndex: number;
  readonly modifyIndex: number;
  readonly problems: readonly Problem[];
}

export interface CatalogInstances {
  /** In the order of Consul's indexes, so that the one written last is last. */
  readonly instances: readonly Instance[];
  /** Consul's index of the write that made it, beside each instance. */
  readonly createIndexes: readonly number[];
  readonly problems: readonly Problem[];
}

/** Turns the catalog into instances. What has not changed since the last time is the same object again. */
export class CatalogReader {
  #known = new Map<string, Known>();
  #nodes: readonly RawNode[] | undefined;

  read(nodes: readonly RawNode[], failing: readonly RawCheck[]): CatalogInstances {
    const healthOf = healthLookup(failing);
    // the same answer again, with other checks: nothing to compare
    const sameNodes = nodes === this.#nodes;
    this.#nodes = nodes;
    const now = new Map<string, Known>();
    const unreadable: Problem[] = [];
    for (const node of nodes) {
      const nodeSource = sameNodes ? '' : JSON.stringify([node.Address, node.Meta, node.TaggedAddresses]);
      for (const service of node.Services ?? []) {
        const id = idOf(service);
        const key = JSON.stringify([node.Node, id]);
        const before = this.#known.get(key);
        const health = healthOf(node.Node, id);
        const found = sameNodes && before ? withHealth(before, health) : this.#read(node, nodeSource, service, before, health);
        if (found === 'unreadable') unreadable.push(unreadableService(id, node.Node));
        else if (found) now.set(key, found);
      }
    }
    this.#known = now;
    const sorted = [...now.values()].sort((a, b) => a.modifyIndex - b.modifyIndex);
    return {
      instances: sorted.map(({ instance }) => instance),
      createIndexes: sorted.map(({ createIndex }) => createIndex),
      problems: [...unreadable, ...sorted.flatMap(({ problems }) => problems)],
    };
  }

  #read(node: RawNode, nodeSource: string, service: unknown, before: Known | undefined, health: Health): Known | 'unreadable' | undefined {
    // Compared by content: after a snapshot was restored the same index may stand for something else.
    const source = `${nodeSource}${JSON.stringify(service)}`;
    if (before?.source === source) return withHealth(before, health);
    const parsed = parseCatalogService(service);
    if (!parsed) return before ? { ...before, source, problems: [unreadableService(before.instance.id, node.Node)] } : 'unreadable';
    if (parsed.PeerName || parsed.Service === CONSUL_ITSELF || !KINDS.has(parsed.Kind)) return undefined;
    const { instance, problems } = toInstance(node, parsed, health);
    return { source, instance, problems, createIndex: parsed.CreateIndex, modifyIndex: parsed.ModifyIndex };
  }
}

function withHealth(known: Known, health: Health): Known {
  return known.instance.health === health ? known : { ...known, instance: { ...known.instance, health } };
}

function toInstance(node: RawNode, service: CatalogService, health: Health): { instance: Instance; problems: readonly Problem[] } {
  const place = { object: `service ${service.ID} on ${node.Node}` };
  const kind = service.Kind as ServiceKind;
  const { value: settings, problems } = kind === '' ? { value: undefined, problems: [] } : parseTolerantly(parseProxy, service.Proxy ?? {}, place.object);
  const tagged = Object.entries(service.TaggedAddresses).map(([name, { Address, Port }]) => [name, { address: Address, port: Port }] as const);
  const instance: Instance = {
    node: node.Node,
    nodeAddress: node.Address ?? '',
    ...(node.Meta ? { nodeMeta: node.Meta } : {}),
    ...(node.TaggedAddresses ? { nodeTaggedAddresses: node.TaggedAddresses } : {}),
    id: service.ID,
    service: service.Service,
    kind,
    address: service.Address,
    port: service.Port,
    ...(service.SocketPath ? { socketPath: service.SocketPath } : {}),
    tags: service.Tags,
    meta: service.Meta,
    taggedAddresses: Object.fromEntries(tagged),
    weights: { passing: service.Weights?.Passing ?? 1, warning: service.Weights?.Warning ?? 1 },
    health,
    connectNative: service.Connect?.Native ?? false,
    // Consul's catalog does not say how a check is made, so there is nothing for expose.checks to open
    agentLocal: false,
    checks: [],
    ...(service.Locality ? { locality: { region: service.Locality.Region || undefined, zone: service.Locality.Zone || undefined } } : {}),
    ...(settings
      ? {
          proxy: {
            ...settings,
            destination_service_name: settings.destination_service_name ?? '',
            destination_service_id: settings.destination_service_id ?? '',
            local_service_address: settings.local_service_address ?? LOCAL_ADDRESS,
            local_service_port: settings.local_service_port ?? 0,
          },
        }
      : {}),
    place,
  };
  return { instance, problems };
}

/** Its last form stands. One that was never readable is no instance, as if it were not registered. */
function unreadableService(id: string, node: string): Problem {
  const object = `service ${id} on ${node}`;
  return { code: 'unreadable-service', severity: 'error', message: `what Consul says of ${object} cannot be read`, place: { object } };
}

function idOf(service: unknown): string {
  return typeof service === 'object' && service !== null && 'ID' in service ? String(service.ID) : '';
}

/** An instance is as healthy as the worst of its own and its node's checks; whatever is not listed passes. */
function healthLookup(failing: readonly RawCheck[]): (node: string, id: string) => Health {
  const worst = new Map<string, Health>();
  for (const { Node, ServiceID, Status } of failing) {
    const key = JSON.stringify([Node, ServiceID || '']);
    if (Status === 'warning' && worst.get(key) === undefined) worst.set(key, 'warning');
    else if (Status !== 'warning') worst.set(key, 'critical');
  }
  return (node, id) => {
    const found = [worst.get(JSON.stringify([node, ''])), worst.get(JSON.stringify([node, id]))];
    return found.includes('critical') ? 'critical' : found.includes('warning') ? 'warning' : 'passing';
  };
}
