import type { FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';

/** Who may read from another host. Whoever is on adsum's own host may read in any case. */
export interface ReadAccess {
  /**
   * @param proxy the one that is asked about; undefined: all of them, or the mesh
   * @throws AdminError when the token does not allow it
   */
  check(token: string | undefined, proxy?: { readonly id: string; readonly nodeName?: string | undefined }): Promise<void>;
}

/** Lets a request pass, or throws AdminError. */
export async function checkReader(access: ReadAccess, request: FastifyRequest): Promise<void> {
  if (isLoopback(request.socket.remoteAddress)) return;
  const { id } = request.params as { id?: string };
  const { node } = request.query as { node?: string };
  await access.check(tokenOf(request), id === undefined ? undefined : { id, nodeName: node });
}

/** Consul takes a token in either header. */
function tokenOf({ headers }: FastifyRequest): string | undefined {
  const own = headers['x-consul-token'];
  if (typeof own === 'string' && own !== '') return own;
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
}
