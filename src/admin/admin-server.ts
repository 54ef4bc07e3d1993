import { chmodSync, rmSync } from 'node:fs';
import type { Server as TlsServer } from 'node:tls';
import fastify, { type FastifyInstance } from 'fastify';
import { shortened } from '../runtime/foreign-text.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { redact, redactText } from '../runtime/redact.ts';
import { StateError } from '../runtime/state-error.ts';
import type { Watchable } from '../runtime/watchable.ts';
import { type AdminApi, AdminError } from './admin-api.ts';
import { readRoutes, writeRoutes } from './admin-routes.ts';
import { refuseForeignPages } from './browser-guard.ts';
import { checkReader, isLoopback, type ReadAccess } from './read-access.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer is a secret, for whoever may open the socket. */
    handsOutSecret?: true;
  }
}

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
  /** Given, the port speaks HTTPS. New connections get what it is at the time. */
  readonly certificate?: Watchable<{ readonly cert: string; readonly key: string }> | undefined;
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
  const overTcp = createApp(options, options.certificate);
  refuseWrites(overTcp, socket);
  overTcp.addHook('onRequest', async ({ headers, raw }) => {
    if (isLoopback(raw.socket.remoteAddress) || !readAccess) refuseForeignPages(headers, [options.host]);
  });
  overTcp.register(async (reading) => {
    if (readAccess) reading.addHook('preHandler', (request) => checkReader(readAccess, request));
    readRoutes(reading, api);
    metricsRoute(reading, options);
    reading.get('/v1/admin', async () => ({ ...(socket === undefined ? {} : { socket }) }));
  });
  const overSocket = createApp(options);
  readRoutes(overSocket, api);
  metricsRoute(overSocket, options);
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

/** Health, and errors as JSON. Secrets are left out of every answer but those that hand one out. */
function createApp({ api, requestMs = 10_000 }: AdminServerOptions, certificate?: AdminServerOptions['certificate']): FastifyInstance {
  const timeouts = { headersTimeout: requestMs, connectionsCheckingInterval: Math.min(1000, requestMs) };
  const settings = {
    forceCloseConnections: true,
    bodyLimit: 64 * 1024,
    requestTimeout: requestMs,
    keepAliveTimeout: 30_000,
  };
  const app = certificate
    ? (fastify({ ...settings, https: { ...timeouts, ...certificate.value } }) as unknown as FastifyInstance)
    : fastify({ ...settings, http: timeouts });
  if (certificate) {
    const stop = certificate.onChange((next) => (app.server as unknown as TlsServer).setSecureContext(next));
    app.addHook('onClose', async () => stop());
  }
  app.addHook('onSend', async (_request, reply) => {
    // of no use to a page, should a browser get it all the same
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin' });
  });
  app.addHook('preSerialization', async ({ routeOptions }, _reply, payload) => (routeOptions.config.handsOutSecret ? payload : redact(payload)));
  app.server.maxConnections = MOST_CONNECTIONS;
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error instanceof AdminError ? error.status : (error.statusCode ?? 500);
    return reply.status(status).send({ error: shortened(redactText(error.message)) });
  });
  app.setNotFoundHandler((request, reply) => reply.status(404).send({ error: shortened(`adsum has no ${request.method} ${request.url}`) }));
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const readiness = api.readiness();
    return reply.status(readiness.ready ? 200 : 503).send(readiness);
  });
  return app;
}

function metricsRoute(app: FastifyInstance, { metrics, observe }: AdminServerOptions): void {
  app.get('/metrics', async (_request, reply) => {
    observe();
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
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
