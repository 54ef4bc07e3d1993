import { type Instance, reachableAddress } from '../../src/mesh/instance.ts';
import type { Mesh } from '../../src/mesh/mesh.ts';
import { serviceSpiffeId } from '../../src/mesh/spiffe-id.ts';
import type { envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher as SubjectAltNameMatcher } from '../../src/proto/generated/types.ts';
import { buildTopology, type MeshTopology } from '../../src/topology/build-topology.ts';
import { configOf, findConfig } from './any.ts';
import { type Host, hostsOf } from './endpoints.ts';
import { chooseFilterChain } from './filter-chain.ts';
import { expandMeshText } from './mesh-text.ts';
import { parseMesh, parseUncheckedMesh, virtualIpsOf } from './parse-mesh.ts';
import { type Arrival, type Reception, receive } from './receive.ts';
import type { HttpRequest } from './request.ts';
import { routeRequest, type Share } from './route.ts';
import { Sidecar } from './sidecar.ts';

/** What an application does. */
export interface Call {
  /** The service, or the instance, whose application calls. */
  readonly from: string;
  /** `api:80` dials the virtual IP of api, `localhost:5000` the caller's own machine, `10.0.0.2:8080` an address. */
  readonly to: string;
  /** `tcp`: bytes that are not HTTP. Default: `http`, which a tcp chain carries as well. */
  readonly protocol?: 'http' | 'tcp';
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Payloads of the valid tokens in the request. */
  readonly tokens?: readonly Readonly<Record<string, unknown>>[];
  /** The server name of the application's own TLS. */
  readonly serverName?: string;
  /** Which of the shares of a split takes it, by cluster. Default: the first. */
  readonly share?: string;
}

export interface Outcome {
  readonly outcome: 'reaches' | 'denied';
  /** Whose proxy denied it: the ID of the instance it stands for. */
  readonly at?: string;
  /** What did. */
  readonly by?: string;
  /** The cluster that the caller's proxy sends it to. */
  readonly cluster?: string;
  /** All clusters that may get such a request, in percent. */
  readonly shares?: Readonly<Record<string, number>>;
  /** Who may get it: IDs of instances, addresses outside the mesh. Sorted. */
  readonly instances: readonly string[];
  /** The same, in percent. */
  readonly load?: Readonly<Record<string, number>>;
  /** Where the last proxy hands it to the application. */
  readonly application?: string;
  /** As it arrives there. */
  readonly request?: HttpRequest | undefined;
}

/** Builds everything for the sidecars of a mesh; for its text see `expandMeshText`. */
export function simulate(text: string): Simulation {
  return simulationOf(parseMesh(expandMeshText(text)));
}

/** The same for a mesh that a file could not hold, but a live Consul may. */
export function simulateUnchecked(text: string): Simulation {
  return simulationOf(parseUncheckedMesh(expandMeshText(text)));
}

function simulationOf(mesh: Mesh): Simulation {
  return new Simulation(mesh, virtualIpsOf(mesh));
}

/**
 * What applications meet in a mesh, worked out from the resources that its sidecars are given and nothing else: an interpreter of the part of Envoy
 * that we use. Applications reach loopback as it is; connections of captured ones go through their proxy.
 */
export class Simulation {
  readonly mesh: Mesh;
  readonly topology: MeshTopology;
  readonly #virtualIps: ReadonlyMap<string, string>;
  readonly #sidecars = new Map<Instance, Sidecar>();

  /** @param virtualIps of services */
  constructor(mesh: Mesh, virtualIps: ReadonlyMap<string, string>) {
    this.mesh = mesh;
    this.#virtualIps = virtualIps;
    this.topology = buildTopology(mesh, { trustDomain: mesh.trustDomain ?? 'mesh.test', virtualIps });
  }

  get sidecars(): Sidecar[] {
    return this.mesh.instances.filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy).map((instance) => this.#sidecarOf(instance));
  }

  /** The sidecar of a service (its first), or of the instance with this ID. */
  sidecar(name: string): Sidecar {
    const found = this.sidecars.find(({ serviceId }) => serviceId === name) ?? this.sidecars.find(({ service }) => service === name);
    if (!found) throw new Error(`no sidecar of ${name}`);
    return found;
  }

  /** The application's call, from its first packet to the application at the other end. */
  call(call: Call): Outcome {
    const caller = this.sidecar(call.from);
    const destination = this.#resolve(call.to);
    const request = requestOf(call, destination);
    const isLoopback = destination.address === '127.0.0.1' || destination.address === '::1';
    if (!isLoopback && !caller.captures) return this.#dial(caller, { ...destination, request }, call);
    const listener = isLoopback ? caller.listenerOn(destination.address, destination.port) : this.#capturing(caller, destination.address);
    if (!listener) return denied(caller, 'nobody listens');
    const inspectsHttp = findConfig(listener.listener_filters, 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector') !== undefined;
    const chain = chooseFilterChain(listener, {
      destination,
      source: caller.address,
      serverName: call.serverName,
      applicationProtocol: inspectsHttp && request ? 'http/1.1' : undefined,
    });
    if (!chain) return denied(caller, 'no filter chain');
    const tcpProxy = findConfig(chain.filters, 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy');
    if (tcpProxy?.cluster) return this.#connect(caller, call, destination, [{ cluster: tcpProxy.cluster, percent: 100, request }]);
    const manager = findConfig(chain.filters, 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager');
    if (!manager) return denied(caller, 'no filter');
    if (!request) return denied(caller, 'not HTTP');
    const routes = manager.route_config ?? caller.routes(manager.rds?.route_config_name ?? '');
    if (!routes) return denied(caller, `no routes ${manager.rds?.route_config_name}`);
    return this.#connect(caller, call, destination, routeRequest(routes, request));
  }

  /** A caller that does not cooperate: it has the certificate of `as` and goes to the public listener of `to` by itself. */
  knock({ as, to, ...more }: Omit<Call, 'from' | 'share'> & { readonly as: string }): Outcome {
    const sidecar = this.sidecar(to);
    const listener = sidecar.publicListener;
    if (!listener) return denied(sidecar, 'nobody listens');
    const destination = { address: sidecar.address, port: listener.address?.socket_address?.port_value ?? 0 };
    const tls = { identity: serviceSpiffeId(as, this.topology), accepts: [] };
    const reception = receive(sidecar, listener, { destination, source: '10.99.99.99', tls, request: requestOf(more, destination), tokens: more.tokens ?? [] });
    return reception.allowed ? reached([{ instance: sidecar.serviceId, percent: 100, reception }]) : denied(sidecar, reception.by);
  }

  /** Without a proxy on the way out. */
  #dial(caller: Sidecar, { request, ...destination }: { address: string; port: number; request: HttpRequest | undefined }, call: Call): Outcome {
    const { instance, reception } = this.#arrive({ destination, source: caller.address, tls: undefined, request, tokens: call.tokens ?? [] });
    return reception.allowed ? reached([{ instance, percent: 100, reception }]) : { outcome: 'denied', at: instance, by: reception.by, instances: [] };
  }

  /** Redirection reaches the listener's address of the same kind. */
  #capturing(caller: Sidecar, address: string): ReturnType<Sidecar['listenerOn']> {
    const listener = caller.outboundListener;
    const port = listener?.address?.socket_address?.port_value ?? 0;
    return caller.listenerOn(address.includes(':') ? '::1' : '127.0.0.1', port) === listener ? listener : undefined;
  }

  #connect(caller: Sidecar, call: Call, original: { address: string; port: number }, shares: readonly Way[]): Outcome {
    const share = call.share ? shares.find(({ cluster }) => cluster === call.share) : shares[0];
    if (!share) return denied(caller, 'no route');
    const { cluster } = share;
    const more = { cluster, shares: Object.fromEntries(shares.map((one) => [one.cluster, one.percent])) };
    if (!caller.cluster(cluster)) return { ...denied(caller, 'no cluster'), ...more };
    const hosts = hostsOf(caller, cluster, original);
    if (hosts.length === 0) return { ...denied(caller, 'no healthy host'), ...more };
    const arrivals = hosts.map((host) => {
      const { address, port } = host;
      const arrival = { destination: { address, port }, source: caller.address, tls: tlsOf(caller, host), request: share.request, tokens: call.tokens ?? [] };
      return { percent: host.percent, ...this.#arrive(arrival) };
    });
    const arrived = arrivals.flatMap(({ reception, ...at }) => (reception.allowed ? [{ ...at, reception }] : []));
    if (arrived.length > 0) return { ...reached(arrived), ...more };
    const [first] = arrivals;
    return { outcome: 'denied', at: first?.instance ?? '', by: first?.reception.allowed === false ? first.reception.by : '', instances: [], ...more };
  }

  /** Whoever has this address: a sidecar, by its own port or because it captures; a gateway; an application without a sidecar; somebody outside. */
  #arrive(arrival: Arrival): { instance: string; reception: Reception } {
    const { address, port } = arrival.destination;
    const here = this.mesh.instances.filter((instance) => reachableAddress(instance) === address);
    const sidecars = here.filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy).map((instance) => this.#sidecarOf(instance));
    for (const sidecar of sidecars) {
      const listener = sidecar.listenerOn(address, port);
      if (listener) return { instance: sidecar.serviceId, reception: receive(sidecar, listener, arrival) };
    }
    const capturing = sidecars.filter(({ captures }) => captures);
    const redirected = capturing.find(({ applicationPort }) => applicationPort === port) ?? capturing[0];
    if (redirected?.publicListener) return { instance: redirected.serviceId, reception: receive(redirected, redirected.publicListener, arrival) };
    const instance = here.find((candidate) => candidate.port === port)?.id ?? `${address}:${port}`;
    return { instance, reception: { allowed: true, application: `${address}:${port}`, request: arrival.request } };
  }

  #sidecarOf(instance: Instance): Sidecar {
    const known = this.#sidecars.get(instance);
    if (known) return known;
    const sidecar = new Sidecar(this.topology, instance);
    this.#sidecars.set(instance, sidecar);
    return sidecar;
  }

  #resolve(to: string): { address: string; port: number } {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(to) ?? [];
    if (host === 'localhost') return { address: '127.0.0.1', port: Number(port) };
    return { address: /^[\d.]+$|:/.test(host) ? host : this.virtualIp(host), port: Number(port) };
  }

  virtualIp(service: string): string {
    const address = this.#virtualIps.get(service);
    if (!address) throw new Error(`${service} has no virtual IP`);
    return address;
  }
}

/** A share of HTTP requests, or a connection of something else. */
type Way = Omit<Share, 'request'> & { readonly request: HttpRequest | undefined };

/** The certificate that the caller's cluster shows, and the identities it accepts. */
function tlsOf(caller: Sidecar, { cluster }: Host): Arrival['tls'] {
  const context = configOf(cluster.transport_socket?.typed_config, 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext');
  if (!context) return undefined;
  const validation = context.common_tls_context?.combined_validation_context?.default_validation_context;
  const accepts: readonly SubjectAltNameMatcher[] = validation?.match_typed_subject_alt_names ?? [];
  return { identity: caller.identity, accepts };
}

function requestOf(call: Omit<Call, 'from' | 'to'>, { address, port }: { address: string; port: number }): HttpRequest | undefined {
  const { protocol = 'http', method = 'GET', path = '/', headers = {} } = call;
  if (protocol === 'tcp') return undefined;
  const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { method, path, host: call.host ?? `${address}:${port}`, headers: lowerCase };
}

function denied(sidecar: Sidecar, by: string): Outcome {
  return { outcome: 'denied', at: sidecar.serviceId, by, instances: [] };
}

function reached(arrivals: readonly { instance: string; percent: number; reception: Extract<Reception, { allowed: true }> }[]): Outcome {
  const load: Record<string, number> = {};
  for (const { instance, percent } of arrivals) load[instance] = Math.round(((load[instance] ?? 0) + percent) * 100) / 100;
  const [first] = arrivals;
  return { outcome: 'reaches', instances: Object.keys(load).sort(), load, application: first?.reception.application ?? '', request: first?.reception.request };
}
