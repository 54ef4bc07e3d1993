import { AdminError } from '../admin/admin-api.ts';
import type { ReadAccess } from '../admin/read-access.ts';
import type { Permission, TokenVerdict } from './consul-token-check.ts';

export interface ConsulReadAccessOptions {
  readonly authorize: (token: string | undefined, permissions: readonly Permission[]) => Promise<TokenVerdict>;
  /** Undefined before Consul has said. */
  readonly aclsEnabled: () => boolean | undefined;
  /** The service a proxy stands for; undefined when there is no such proxy. */
  readonly serviceOf: (proxy: { id: string; nodeName?: string | undefined }) => string | undefined;
}

/** What Consul itself asks of whoever lists all services and nodes. */
const EVERYTHING: readonly Permission[] = [
  { Resource: 'service', Access: 'read', Segment: '' },
  { Resource: 'node', Access: 'read', Segment: '' },
];

/** With ACLs other hosts see of the mesh what their token may see: a sidecar's own proxy, or all of it. */
export function createConsulReadAccess({ authorize, aclsEnabled, serviceOf }: ConsulReadAccessOptions): ReadAccess {
  const demand = async (token: string | undefined, permissions: readonly Permission[], refusal: string) => {
    const verdict = await authorize(token, permissions);
    if (verdict === 'denied') throw new AdminError(403, token === undefined ? `${refusal}; none was sent (--token, CONSUL_HTTP_TOKEN)` : refusal);
    if (verdict === 'unknown') throw new AdminError(503, 'Consul cannot be asked whether the token is good; try again');
  };
  return {
    async check(token, proxy) {
      const enabled = aclsEnabled();
      if (enabled === undefined) throw new AdminError(503, 'Consul has not been read yet');
      if (!enabled) return;
      const service = proxy && serviceOf(proxy);
      // whoever may not see everything must not learn either which proxies there are
      if (service === undefined) return demand(token, EVERYTHING, 'from other hosts this needs a token that may read all services and nodes');
      return demand(
        token,
        [{ Resource: 'service', Access: 'write', Segment: service }],
        'from other hosts this needs a token that may write the service of that proxy',
      );
    },
  };
}
