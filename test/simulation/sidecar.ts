import { buildValidation } from '../../src/control-plane/secrets.ts';
import { buildResources } from '../../src/envoy/build-resources.ts';
import type { EnvoyResource, EnvoyTraits } from '../../src/envoy/resource.ts';
import { buildLeafSecret } from '../../src/envoy/secret.ts';
import { type Instance, reachableAddress } from '../../src/mesh/instance.ts';
import type { Problem } from '../../src/mesh/problem.ts';
import { serviceSpiffeId } from '../../src/mesh/spiffe-id.ts';
import type {
  envoy_config_cluster_v3_Cluster as Cluster,
  envoy_config_endpoint_v3_ClusterLoadAssignment as ClusterLoadAssignment,
  envoy_config_listener_v3_Listener as Listener,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
  envoy_extensions_transport_sockets_tls_v3_Secret as Secret,
} from '../../src/proto/generated/types.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import type { Topology } from '../../src/topology/topology.ts';

const TRAITS: EnvoyTraits = { ipv6: true, version: [1, 36, 4] };

/** A sidecar as Envoy knows it, by the resources that were built for it, and the host it is on. */
export class Sidecar {
  readonly instance: Instance;
  readonly id: string;
  readonly service: string;
  /** The instance it stands for. */
  readonly serviceId: string;
  /** The URI in its certificate. */
  readonly identity: string;
  readonly address: string;
  /** The application's own port. */
  readonly applicationPort: number;
  /** Whether connections of the application, and to it, are redirected. */
  readonly captures: boolean;
  readonly resources: readonly EnvoyResource[];
  readonly problems: readonly Problem[];
  readonly #byKey: ReadonlyMap<string, object>;

  constructor(topology: Topology, instance: Instance, traits: EnvoyTraits = TRAITS) {
    const view = resolveProxyView(topology, instance);
    const built = buildResources(view, traits);
    this.instance = instance;
    this.id = instance.id;
    this.service = view.service;
    this.serviceId = instance.proxy?.destination_service_id ?? '';
    this.identity = serviceSpiffeId(view.service, view.context);
    this.address = reachableAddress(instance);
    this.applicationPort = view.inbound.localApp.port;
    this.captures = view.transparent !== undefined;
    this.resources = [...built.resources, ...buildValidation(view, ['the roots']), buildLeafSecret({ certificateChain: 'a leaf', privateKey: 'its key' })];
    this.problems = built.problems;
    this.#byKey = new Map(this.resources.map(({ type, name, body }) => [`${type}/${name}`, body]));
  }

  get listeners(): Listener[] {
    return this.resources.filter(({ type }) => type === 'listener').map(({ body }) => body);
  }

  /** Who listens on this port of the host, at an address of this kind. */
  listenerOn(address: string, port: number): Listener | undefined {
    return this.listeners.find((listener) => {
      const bound = [listener.address, ...(listener.additional_addresses ?? []).map((additional) => additional.address)];
      return bound.some(({ socket_address: socket } = {}) => socket?.port_value === port && mayBeBound(socket.address ?? '', address));
    });
  }

  get publicListener(): Listener | undefined {
    return this.listeners.find(({ name }) => name?.startsWith('public_listener'));
  }

  get outboundListener(): Listener | undefined {
    return this.listeners.find(({ name }) => name?.startsWith('outbound_listener'));
  }

  cluster(name: string): Cluster | undefined {
    return this.#byKey.get(`cluster/${name}`);
  }

  endpoints(cluster: string): ClusterLoadAssignment | undefined {
    return this.#byKey.get(`endpoint/${cluster}`);
  }

  routes(name: string): RouteConfiguration | undefined {
    return this.#byKey.get(`route/${name}`);
  }

  secret(name: string): Secret | undefined {
    return this.#byKey.get(`secret/${name}`);
  }
}

function mayBeBound(bound: string, address: string): boolean {
  return bound === address || (bound === '0.0.0.0' && !address.includes(':')) || (bound === '::' && address.includes(':'));
}
