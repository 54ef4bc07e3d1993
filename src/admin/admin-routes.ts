import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type AdminApi, AdminError } from './admin-api.ts';

const ttl_ms = z.number().int().positive().optional();
const tokenRequest = z.union([
  z.strictObject({ service: z.string().min(1), node: z.string().min(1).optional(), ttl_ms }),
  z.strictObject({ operator: z.literal(true), ttl_ms }),
]);
const tlsRequest = z.strictObject({ names: z.array(z.string().min(1)).min(1).max(100), ttl_ms });

interface ProxyParameters {
  Params: { id: string };
  Querystring: { node?: string; wanted?: string };
}

/** What only looks. */
export function readRoutes(app: FastifyInstance, api: AdminApi): void {
  const known = <T>(value: T | undefined, id: string): T => {
    if (value === undefined) throw new AdminError(404, `no proxy '${id}' is registered or connected`);
    return value;
  };
  app.get('/v1/proxies', async () => ({ proxies: api.proxies() }));
  app.get<ProxyParameters>('/v1/proxies/:id', async ({ params, query }) => known(api.proxy(params.id, query.node), params.id));
  app.get<ProxyParameters>('/v1/proxies/:id/config', async ({ params, query }) =>
    known(api.proxyConfig(params.id, query.node, { wanted: query.wanted === 'true' }), params.id),
  );
  app.get('/v1/problems', async () => ({ problems: api.problems() }));
  app.get('/v1/mesh', async () => api.mesh());
  app.get('/v1/ca/roots', async () => api.caRoots());
  app.get<{ Querystring: { source?: string; destination?: string } }>('/v1/intentions/check', async ({ query }) => {
    if (!query.source || !query.destination) throw new AdminError(400, 'source and destination are needed');
    return api.checkIntention(query.source, query.destination);
  });
}

/** What changes something, hands out a key, or is about tokens. Served over the Unix socket only. */
export function writeRoutes(app: FastifyInstance, api: AdminApi): void {
  app.get('/v1/tokens', async () => ({ tokens: api.tokens() }));
  app.post<{ Body: unknown }>('/v1/tokens', { config: { handsOutSecret: true } }, async ({ body }) => {
    const grant = tokenRequest.safeParse(body);
    if (!grant.success) throw new AdminError(400, z.prettifyError(grant.error));
    const { ttl_ms: ttlMs, ...whom } = grant.data;
    return api.createToken({ ...whom, ttlMs });
  });
  app.delete<{ Params: { id: string } }>('/v1/tokens/:id', async ({ params }) => {
    if (!api.revokeToken(params.id)) throw new AdminError(404, `there is no token ${params.id}`);
    return {};
  });
  app.post<{ Body: unknown }>('/v1/tls', { config: { handsOutSecret: true } }, async ({ body }) => {
    const wanted = tlsRequest.safeParse(body);
    if (!wanted.success) throw new AdminError(400, z.prettifyError(wanted.error));
    return api.issueServerCertificate(wanted.data.names, wanted.data.ttl_ms);
  });
  app.post('/v1/ca/rotate', async () => api.rotateCa());
  app.post<{ Body: { service?: unknown } | null }>('/v1/ca/leaf', { config: { handsOutSecret: true } }, async ({ body }) => {
    const service = body?.service;
    if (typeof service !== 'string' || service === '') throw new AdminError(400, 'service is needed');
    return api.issueLeaf(service);
  });
}
