import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Metrics } from '../runtime/metrics.ts';
import { type AdminApi, AdminError } from './admin-api.ts';
import { peerUid } from './peer-uid.ts';
import { checkReader, type ReadAccess } from './read-access.ts';

export interface AdminServer {
  /** The address it listens on; the port is the real one when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

interface ProxyParameters {
  Params: { id: string };
  Querystring: { node?: string };
}

/** Serves `api` over HTTP. Rejects with the listen error (`EADDRINUSE`, `EACCES`) when the address cannot be had. */
export async function startAdminServer(options: {
  host: string;
  port: number;
  api: AdminApi;
  metrics: Metrics;
  /** Brings gauges up to date; called before they are read. */
  observe: () => void;
  /** Asked before another host reads of the mesh; without it everybody may who reaches the port. */
  readAccess?: ReadAccess;
}): Promise<AdminServer> {
  const { api, metrics } = options;
  const app = fastify({ forceCloseConnections: true, bodyLimit: 64 * 1024 });

  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error instanceof AdminError ? error.status : (error.statusCode ?? 500);
    return reply.status(status).send({ error: error.message });
  });
  app.setNotFoundHandler((request, reply) => reply.status(404).send({ error: `adsum has no ${request.method} ${request.url}` }));

  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const readiness = api.readiness();
    return reply.status(readiness.ready ? 200 : 503).send(readiness);
  });
  app.get('/metrics', async (_request, reply) => {
    options.observe();
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  app.register(async (reading) => {
    const { readAccess } = options;
    if (readAccess) reading.addHook('preHandler', (request) => checkReader(readAccess, request));
    readRoutes(reading, api);
  });
  writeRoutes(app, api);

  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return { address: { host: options.host, port }, close: () => app.close() };
}

function readRoutes(app: FastifyInstance, api: AdminApi): void {
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

function writeRoutes(app: FastifyInstance, api: AdminApi): void {
  app.post('/v1/ca/rotate', async (request) => {
    requireOwner(request);
    return api.rotateCa();
  });
  app.post<{ Body: { service?: unknown } | null }>('/v1/ca/leaf', async (request) => {
    requireOwner(request);
    const service = request.body?.service;
    if (typeof service !== 'string' || service === '') throw new AdminError(400, 'service is needed');
    return api.issueLeaf(service);
  });
}

/**
 * What hands out identities or changes the CA is for root and for the user adsum runs as, on the same host. Everybody else on the
 * machine (the applications, Envoy) can reach a loopback port too.
 */
function requireOwner(request: FastifyRequest): void {
  const uid = peerUid({ address: request.socket.remoteAddress ?? '', port: request.socket.remotePort ?? 0 });
  if (uid !== 0 && (uid === undefined || uid !== process.getuid?.())) {
    throw new AdminError(403, 'only root and the user adsum runs as may do this, over loopback on the same host');
  }
}
