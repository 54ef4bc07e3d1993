import type { Instance } from '../mesh/instance.ts';
import { type Realm, serviceSpiffeId } from '../mesh/spiffe-id.ts';

/** Who a proxy is, whatever it is configured to do. */
export interface ProxyIdentity {
  /** The service it stands for: who has proven to be that service may be served as this proxy. */
  readonly service: string;
  readonly spiffeId: string;
  /** Name of the SDS secret → the service whose certificate it holds. */
  readonly leaves: ReadonlyMap<string, string>;
}

/** The secret with a proxy's own certificate. */
export const OWN_LEAF = 'leaf';

/** Undefined for an instance that is no sidecar. */
export function resolveProxyIdentity({ proxy }: Instance, realm: Realm): ProxyIdentity | undefined {
  if (!proxy) return undefined;
  const service = proxy.destination_service_name;
  return { service, spiffeId: serviceSpiffeId(service, realm), leaves: new Map([[OWN_LEAF, service]]) };
}
