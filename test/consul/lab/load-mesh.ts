import { readFileSync } from 'node:fs';
import type { Instance } from '../../../src/mesh/instance.ts';
import type { Mesh } from '../../../src/mesh/mesh.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import type { ConsulAgent } from './consul-agent.ts';

/** Kinds that others refer to come first. */
const ORDER = ['proxy-defaults', 'mesh', 'service-defaults', 'jwt-provider', 'service-resolver', 'service-splitter', 'service-router', 'terminating-gateway'];

/** Writes what a mesh file holds into a Consul: entries as they stand in the file, services expanded as an agent would. */
export async function loadMesh(consul: ConsulAgent, file: string): Promise<Mesh> {
  const text = readFileSync(file, 'utf8');
  const { mesh, problems } = parseMeshFiles([{ path: file, text }]);
  if (!mesh) throw new Error(JSON.stringify(problems));
  const raw = JSON.parse(text) as { config_entries?: { Kind?: string; kind?: string }[] };
  const rank = (entry: { Kind?: string; kind?: string }) => (ORDER.indexOf(entry.Kind ?? entry.kind ?? '') + ORDER.length + 1) % (ORDER.length + 1);
  for (const entry of [...(raw.config_entries ?? [])].sort((a, b) => rank(a) - rank(b))) await consul.put('/v1/config', entry);
  for (const instance of mesh.instances) await consul.put('/v1/catalog/register', registration(instance));
  for (const [service, addresses] of mesh.manualVirtualIps) await consul.put('/v1/internal/service-virtual-ip', { Service: service, ManualVIPs: addresses });
  return mesh;
}

function registration(instance: Instance): object {
  const tagged = Object.entries(instance.taggedAddresses).map(([name, { address, port }]) => [name, { Address: address, Port: port }]);
  return {
    Node: instance.node,
    Address: instance.nodeAddress,
    ...(instance.nodeMeta ? { NodeMeta: instance.nodeMeta } : {}),
    ...(instance.nodeTaggedAddresses ? { TaggedAddresses: instance.nodeTaggedAddresses } : {}),
    Service: {
      Kind: instance.kind,
      ID: instance.id,
      Service: instance.service,
      Address: instance.address,
      Port: instance.port,
      ...(instance.socketPath ? { SocketPath: instance.socketPath } : {}),
      Tags: instance.tags,
      Meta: instance.meta,
      TaggedAddresses: Object.fromEntries(tagged),
      Weights: { Passing: instance.weights.passing, Warning: instance.weights.warning },
      Connect: { Native: instance.connectNative },
      ...(instance.proxy ? { Proxy: camelCased(instance.kind === 'connect-proxy' ? instance.proxy : ofGateway(instance.proxy)) } : {}),
    },
    Checks: [{ Node: instance.node, CheckID: `service:${instance.id}`, Name: 'health', Status: instance.health, ServiceID: instance.id }],
  };
}

/** A gateway stands for no service; Consul refuses the defaults of a sidecar in it. */
function ofGateway(proxy: NonNullable<Instance['proxy']>): object {
  const { destination_service_name, destination_service_id, local_service_address, local_service_port, ...rest } = proxy;
  return rest;
}

/** Consul's catalog API takes CamelCase only; what stands in a free map keeps the user's spelling. */
function camelCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const free = key === 'config' || key === 'arguments';
      return [key.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()), free ? inner : camelCased(inner)];
    }),
  );
}
