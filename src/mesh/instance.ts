import type { Place } from './problem.ts';
import type { SidecarProxy } from './schema/service.ts';

export type Health = 'passing' | 'warning' | 'critical';

/** Kinds of a catalog entry; `''` is an ordinary service. Source: Consul's `ServiceKind`. */
export type ServiceKind = '' | 'connect-proxy' | 'mesh-gateway' | 'terminating-gateway' | 'ingress-gateway' | 'api-gateway';

/**
 * One instance in the catalog, as an agent would have registered it: sidecar services are expanded, defaults filled in.
 * Both applications and proxies are instances; a proxy has `proxy`.
 */
export interface Instance {
  readonly node: string;
  readonly nodeAddress: string;
  /** Keys and values of the node it is on; subset filters may ask for them. */
  readonly nodeMeta?: Readonly<Record<string, string>>;
  /** Unique on its node. */
  readonly id: string;
  /** The service it is an instance of; for a sidecar its own name, e.g. `api-sidecar-proxy`. */
  readonly service: string;
  readonly kind: ServiceKind;
  /** Own address; `''` means the node's. */
  readonly address: string;
  readonly port: number;
  readonly socketPath?: string;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  /** `lan`, `wan`, `virtual`, `consul-virtual:…` → address and port. */
  readonly taggedAddresses: Readonly<Record<string, { readonly address: string; readonly port: number }>>;
  readonly weights: { readonly passing: number; readonly warning: number };
  /** The worst of the instance's own and its node's checks; a sidecar's includes that of the service it stands for. */
  readonly health: Health;
  /** Speaks mTLS itself, without a sidecar. */
  readonly connectNative: boolean;
  /** Registered with the agent, which therefore knows the check definitions (for `expose.checks`). */
  readonly agentLocal: boolean;
  readonly checks: readonly CheckDefinition[];
  /** `lan`, `wan`, … → address of the node. */
  readonly nodeTaggedAddresses?: Readonly<Record<string, string>>;
  readonly locality?: { readonly region?: string | undefined; readonly zone?: string | undefined };
  readonly proxy?: SidecarProxy & {
    readonly destination_service_name: string;
    readonly destination_service_id: string;
    readonly local_service_address: string;
    readonly local_service_port: number;
  };
  readonly place?: Place;
}

/** What `expose.checks` needs of a check. */
export interface CheckDefinition {
  readonly id: string;
  readonly http?: string;
  /** Of an HTTP check. Default: GET. */
  readonly method?: string;
  readonly grpc?: string;
}

/** The address others reach it by: its own, or else its node's. */
export function reachableAddress(instance: Pick<Instance, 'address' | 'nodeAddress'>): string {
  return instance.address || instance.nodeAddress;
}

/** An instance ID alone is ambiguous across nodes; this key is not. */
export function instanceKey(instance: Pick<Instance, 'node' | 'id'>): string {
  return `${instance.node}/${instance.id}`;
}
