import { chmodSync, rmSync } from 'node:fs';
import fastify, { type FastifyInstance } from 'fastify';
import { shortened } from '../runtime/foreign-text.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { StateError } from '../runtime/state-error.ts';
import { type AdminApi, AdminError } from './admin-api.ts';
import { readRoutes, writeRoutes } from './admin-routes.ts';
import { checkReader, type ReadAccess } from './read-access.ts';

export interface AdminServer {
  /** The TCP address it listens on; the port is the real one when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  /**
   * Path of the Unix socket for everything that writes or hands out keys. Its folder must be closed to other users (0700): who may
   * open the socket is who may use it, so no further credential is asked for. A file that is there already is replaced.
   * Without it nothing can be changed.
   */
  readonly socket?: string;
  readonly api: AdminApi;
  readonly metrics: Metrics;
  /** Brings gauges up to date; called before they are read. */
  readonly observe: () => void;
  /** For the headers of a request, and for the rest of it; default 10 s. */
  readonly requestMs?: number;
  /** Asked before another host reads of the mesh; without it everybody may who reaches the port. */
  readonly readAccess?: ReadAccess;
}

/** The longest path of a Unix socket in bytes, without the final zero. Source: unix(7). */
const LONGEST_SOCKET_PATH = 107;

/** At once, over TCP and over the socket each; one more is closed. */
const MOST_CONNECTIONS = 256;

/**
 * Serves `api` over HTTP: reading over TCP, everything over the Unix socket. Any local user can reach a loopback port, and TCP says
 * nothing reliable of who that is; a Unix socket obeys the permissions of files.
 * @throws StateError when the socket cannot be made; the listen error (`EADDRINUSE`, `EACCES`) when the address cannot be had
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { api, readAccess, socket } = options;
  const overTcp = createApp(options);
  refuseWrites(overTcp, socket);
  overTcp.register(async (reading) => {
    if (readAccess) reading.addHook('preHandler', (request) => checkReader(readAccess, request));
    readRoutes(reading, api);
    reading.get('/v1/admin', async () => ({ ...(socket === undefined ? {} : { socket }) }));
  });
  const overSocket = createApp(options);
  readRoutes(overSocket, api);
  writeRoutes(overSocket, api);

  if (socket !== undefined) await listenOnSocket(overSocket, socket);
  try {
    await overTcp.listen({ host: options.host, port: options.port });
  } catch (error) {
    await overSocket.close();
    throw error;
  }
  const address = overTcp.server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return {
    address: { host: options.host, port },
    async close() {
      await Promise.all([overTcp.close(), overSocket.close()]);
    },
  };
}

/** Health and metrics, and errors as JSON. */
function createApp({ api, metrics, observe, requestMs = 10_000 }: AdminServerOptions): FastifyInstance {
  const app = fastify({
    forceCloseConnections: true,
    bodyLimit: 64 * 1024,
    requestTimeout: requestMs,
    keepAliveTimeout: 30_000,
    http: { headersTimeout: requestMs, connectionsCheckingInterval: Math.min(1000, requestMs) },
  });
  app.server.maxConnections = MOST_CONNECTIONS;
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error instanceof AdminError ? error.status : (error.statusCode ?? 500);
    return reply.status(status).send({ error: shortened(error.message) });
  });
  app.setNotFoundHandler((request, reply) => reply.status(404).send({ error: shortened(`adsum has no ${request.method} ${request.url}`) }));
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const readiness = api.readiness();
    return reply.status(readiness.ready ? 200 : 503).send(readiness);
  });
  app.get('/metrics', async (_request, reply) => {
    observe();
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  return app;
}

/** Before anything else of a request is looked at, its path included. */
function refuseWrites(app: FastifyInstance, socket: string | undefined): void {
  app.addHook('onRequest', async ({ method }) => {
    if (method === 'GET' || method === 'HEAD') return;
    if (socket === undefined)
      throw new AdminError(503, 'the data dir was not writable when adsum started, so nothing can be changed until it is started again');
    throw new AdminError(403, `this port only reads; ask over the Unix socket ${socket}, as root or as the user adsum runs as`);
  });
}

async function listenOnSocket(app: FastifyInstance, file: string): Promise<void> {
  if (Buffer.byteLength(file) > LONGEST_SOCKET_PATH) {
    const hint = 'name a shorter --data-dir';
    throw new StateError(file, `is longer than the ${LONGEST_SOCKET_PATH} bytes that a Unix socket may have`, hint);
  }
  try {
    rmSync(file, { force: true }); // a killed process leaves its socket behind; the lock says that no other is alive
    await app.listen({ path: file });
    chmodSync(file, 0o600);
  } catch (error) {
    await app.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new StateError(file, `cannot be listened on: ${reason}`, 'name another --data-dir');
  }
}
