import type { ProxyStatus } from '../admin/admin-api.ts';
import { type StreamJson, streamJson } from '../admin/stream-json.ts';
import { untriedEnvoy } from '../envoy/tried-versions.ts';
import type { StreamStatus } from '../server/stream-status.ts';
import type { MeshTopology } from '../topology/build-topology.ts';
import type { AdmissionStatus, Refusal } from './admission.ts';
import type { ServedProxy } from './served-proxy.ts';

type Served = Pick<ServedProxy, 'id' | 'nodeName' | 'waitingFor'> & Partial<Pick<ServedProxy, 'refused'>>;

/**
 * Who is registered or connected. What is said of a proxy follows from its streams: it is connected as soon as one of them is served,
 * whatever others wait for. A stream that does not say its node belongs to a proxy only where the ID is used on one.
 */
export function proxyStatuses(
  topology: MeshTopology | undefined,
  served: Iterable<Served>,
  streams: readonly StreamStatus[],
  admissions: readonly AdmissionStatus[],
): ProxyStatus[] {
  const proxiesServed = [...served];
  const reasonOf = streamReasons(proxiesServed, admissions);
  const toJson = (stream: StreamStatus) => streamOf(stream, reasonOf(stream));
  const refusals = admissions.flatMap((one) => one.refusals()).sort((a, b) => a.at - b.at);
  const proxies = (topology?.mesh.instances ?? []).filter(({ kind }) => kind !== '');
  const uses = new Map<string, number>();
  for (const { id } of proxies) uses.set(id, (uses.get(id) ?? 0) + 1);
  const left = new Set(streams);
  const byId = new Map<string, StreamStatus[]>();
  for (const stream of streams) byId.set(stream.nodeId, [...(byId.get(stream.nodeId) ?? []), stream]);

  const registered = proxies.map((instance): ProxyStatus => {
    const isOwn = ({ nodeName }: StreamStatus) => (nodeName === undefined ? uses.get(instance.id) === 1 : nodeName === instance.node);
    const own = (byId.get(instance.id) ?? []).filter(isOwn);
    for (const stream of own) left.delete(stream);
    const waits = own.length > 0 && own.every((stream) => reasonOf(stream) !== undefined);
    const reason = waits && own[0] ? reasonOf(own[0]) : undefined;
    const refusal = refusals.findLast(({ id, nodeName }) => id === instance.id && (nodeName === undefined || nodeName === instance.node));
    return {
      id: instance.id,
      node: instance.node,
      service: instance.proxy?.destination_service_name ?? instance.service,
      state: own.length === 0 ? 'disconnected' : waits ? 'waiting' : 'connected',
      ...(reason === undefined ? {} : { reason }),
      ...(refusal ? refusedBy(refusal) : {}),
      ...refusedResources(own, proxiesServed),
      streams: own.map(toJson),
    };
  });
  const unknown = [...left].map((stream): ProxyStatus => {
    const reason = reasonOf(stream);
    return {
      id: stream.nodeId,
      ...(stream.nodeName === undefined ? {} : { node: stream.nodeName }),
      state: 'waiting',
      ...(reason === undefined ? {} : { reason }),
      streams: [toJson(stream)],
    };
  });
  // Only a refusal tells of these: nobody registered them.
  const named = new Set([...registered, ...unknown].map(({ id }) => id));
  const strangers = refusals
    .filter(({ id }) => !named.has(id))
    .map(
      ({ id, nodeName, ...refusal }): ProxyStatus => ({
        id,
        ...(nodeName === undefined ? {} : { node: nodeName }),
        state: 'disconnected',
        ...refusedBy(refusal),
        streams: [],
      }),
    );
  return [...registered, ...unknown, ...strangers];
}

/** What the Envoys of these streams do not take. */
function refusedResources(streams: readonly StreamStatus[], served: readonly Served[]): Pick<ProxyStatus, 'refused_resources'> {
  const isTheirs = (proxy: Served) => streams.some(({ nodeId, nodeName }) => nodeId === proxy.id && nodeName === proxy.nodeName);
  const refused = served.filter(isTheirs).flatMap((proxy) => proxy.refused?.list() ?? []);
  const json = refused.map(({ type, name, at, error, closed }) => ({ type, name, at: new Date(at).toISOString(), error, closed }));
  return json.length > 0 ? { refused_resources: json } : {};
}

/** What each stream waits for; undefined: it is served. */
function streamReasons(served: Iterable<Served>, admissions: readonly AdmissionStatus[]): (stream: StreamStatus) => string | undefined {
  const key = (...parts: readonly (string | undefined)[]) => JSON.stringify(parts);
  const held = new Map(admissions.flatMap((one) => one.held()).map(({ id, nodeName, peer, reason }) => [key(id, nodeName, peer), reason]));
  const waiting = new Map(Array.from(served, ({ id, nodeName, waitingFor }) => [key(id, nodeName), waitingFor]));
  return ({ nodeId, nodeName, peer }) => held.get(key(nodeId, nodeName, peer)) ?? waiting.get(key(nodeId, nodeName));
}

function refusedBy({ at, peer, reason }: Pick<Refusal, 'at' | 'peer' | 'reason'>): Pick<ProxyStatus, 'refused'> {
  return { refused: { at: new Date(at).toISOString(), peer, reason } };
}

function streamOf(stream: StreamStatus, reason: string | undefined): StreamJson {
  return streamJson(stream, { reason, warning: stream.envoyVersion && untriedEnvoy(stream.envoyVersion)?.reason });
}
