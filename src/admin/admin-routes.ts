import type { FastifyInstance } from 'fastify';
import { type AdminApi, AdminError } from './admin-api.ts';

interface ProxyParameters {
  Params: { id: string };
  Querystring: { node?: string };
}

/** What only looks. */
export function readRoutes(app: FastifyInstance, api: AdminApi): void {
  const known = <T>(value: T | undefined, id: string): T => {
    if (value === undefined) throw new AdminError(404, `no proxy '${id}' is registered or connected`);
    return value;
  };
  app.get('/v1/proxies', async () => ({ proxies: api.proxies() }));
  app.get<ProxyParameters>('/v1/proxies/:id', async ({ params, query }) => known(api.proxy(params.id, query.node), params.id));
  app.get<ProxyParameters>('/v1/proxies/:id/config', async ({ params, query }) => known(api.proxyConfig(params.id, query.node), params.id));
  app.get('/v1/problems', async () => ({ problems: api.problems() }));
  app.get('/v1/mesh', async () => api.mesh());
  app.get('/v1/ca/roots', async () => api.caRoots());
  app.get<{ Querystring: { source?: string; destination?: string } }>('/v1/intentions/check', async ({ query }) => {
    if (!query.source || !query.destination) throw new AdminError(400, 'source and destination are needed');
    return api.checkIntention(query.source, query.destination);
  });
}

/** What changes something or hands out a key. Served over the Unix socket only. */
export function writeRoutes(app: FastifyInstance, api: AdminApi): void {
  app.post('/v1/ca/rotate', async () => api.rotateCa());
  app.post<{ Body: { service?: unknown } | null }>('/v1/ca/leaf', async ({ body }) => {
    const service = body?.service;
    if (typeof service !== 'string' || service === '') throw new AdminError(400, 'service is needed');
    return api.issueLeaf(service);
  });
}
