import { AdminError } from '../admin/admin-api.ts';
import type { ReadAccess } from '../admin/read-access.ts';
import type { TokenStore } from './token-store.ts';

/**
 * What other hosts may read of a mesh out of files: everything with an operator's token, a proxy with a token of its service.
 * @param serviceOf the service a proxy stands for; undefined when there is no such proxy
 */
export function createMeshReadAccess(
  tokens: Pick<TokenStore, 'find'>,
  serviceOf: (proxy: { id: string; nodeName?: string | undefined }) => string | undefined,
): ReadAccess {
  return {
    async check(token, proxy) {
      const grant = token === undefined ? undefined : tokens.find(token);
      if (grant?.operator) return;
      const service = proxy && serviceOf(proxy);
      if (grant && service !== undefined && grant.service === service) return;
      const needed = 'from other hosts this needs a token (adsum token create --operator)';
      throw new AdminError(
        403,
        token === undefined ? `${needed}; none was sent (--token, CONSUL_HTTP_TOKEN)` : `${needed}; the one that was sent is not good for it`,
      );
    },
  };
}
