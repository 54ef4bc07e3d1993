import http from 'node:http';
import https from 'node:https';
import type { ConsulTarget } from './consul-target.ts';

/** An answer of Consul's HTTP API. */
export interface ConsulAnswer {
  readonly status: number;
  /** `X-Consul-Index`; 0 where the endpoint has none. */
  readonly index: number;
  /** Parsed JSON; undefined when the body is none. */
  readonly body: unknown;
  /** Size of the body in bytes. */
  readonly bytes: number;
  /** False: the server that answered knows no leader, so its data may be old. */
  readonly knownLeader: boolean;
  readonly lastContactMs: number;
  /** The token may not see everything: the answer is a part. */
  readonly filteredByAcl: boolean;
}

/** Consul did not answer, or not with what was asked for. */
export class ConsulError extends Error {
  /** Undefined: nothing answered at all. */
  readonly status: number | undefined;
  /** What `Retry-After` asks for. */
  readonly retryAfterMs: number;

  constructor(message: string, options: { status?: number; retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'ConsulError';
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export interface ConsulRequest {
  readonly method?: 'GET' | 'POST' | 'PUT';
  /** Without the `/v1`, e.g. `/catalog/services`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly json?: unknown;
  /** Instead of adsum's own. */
  readonly token?: string;
  /** For the whole answer; default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Consul's HTTP API. Connections are kept and used again. */
export interface ConsulClient {
  /** Where it is, for messages. */
  readonly address: string;
  /** @throws ConsulError for everything but status 200 */
  request(request: ConsulRequest): Promise<ConsulAnswer>;
  /** Connections open now. */
  readonly connections: number;
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** Finds connections whose other end vanished, e.g. behind a firewall that forgot them. */
const KEEP_ALIVE_MS = 10_000;
/** A burst of short reads leaves no more connections behind than this. */
const MOST_IDLE = 8;
/** An error page of a proxy in between is cut to this in messages. */
const LONGEST_REASON = 200;

export function createConsulClient(target: ConsulTarget): ConsulClient {
  const secure = target.url.protocol === 'https:';
  const options = { keepAlive: true, maxFreeSockets: MOST_IDLE, keepAliveMsecs: KEEP_ALIVE_MS, scheduling: 'lifo' as const };
  const agent = secure ? new https.Agent({ ...options, ...target.tls }) : new http.Agent(options);
  const send = secure ? https.request : http.request;
  const address = target.socketPath === undefined ? target.url.origin : `unix://${target.socketPath}`;

  const request = ({ method = 'GET', path, query = {}, json, token, timeoutMs = DEFAULT_TIMEOUT_MS, signal }: ConsulRequest) =>
    new Promise<ConsulAnswer>((resolve, reject) => {
      const own = token ?? target.token();
      const payload = json === undefined ? undefined : JSON.stringify(json);
      const sent = send(
        {
          ...(target.socketPath === undefined
            ? { host: unbracketed(target.url.hostname), port: target.url.port || (secure ? 443 : 80) }
            : { socketPath: target.socketPath }),
          agent,
          method,
          path: `${target.url.pathname.replace(/\/$/, '')}/v1${path}${queryString({ dc: target.datacenter, ...query })}`,
          headers: {
            accept: 'application/json',
            ...(target.socketPath === undefined ? {} : { host: 'localhost' }),
            ...(own ? { 'x-consul-token': own } : {}),
            ...(target.basicAuth ? { authorization: `Basic ${Buffer.from(target.basicAuth).toString('base64')}` } : {}),
            ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
          },
          ...(signal ? { signal } : {}),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', fail);
          response.on('end', () => {
            clearTimeout(timer);
            try {
              resolve(answerOf(response, Buffer.concat(chunks), `${method} ${path}`));
            } catch (error) {
              reject(error);
            }
          });
        },
      );
      // A timer of our own: signals combined with AbortSignal.any may be collected before they fire (Node 20).
      const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
      function fail(error: Error): void {
        clearTimeout(timer);
        const reason = signal?.aborted ? 'the request was given up' : error.message || ('code' in error ? String(error.code) : error.name);
        reject(new ConsulError(`no Consul answers at ${address}: ${reason}`, { cause: error }));
      }
      sent.on('error', fail);
      sent.end(payload);
    });

  return {
    address,
    request,
    get connections() {
      return [...Object.values(agent.sockets), ...Object.values(agent.freeSockets)].reduce((sum, sockets) => sum + (sockets?.length ?? 0), 0);
    },
    close: () => agent.destroy(),
  };
}

function answerOf(response: http.IncomingMessage, body: Buffer, what: string): ConsulAnswer {
  const status = response.statusCode ?? 0;
  const text = body.toString('utf8');
  if (status !== 200) {
    const retryAfter = Number(response.headers['retry-after']);
    throw new ConsulError(`Consul answered ${status} to ${what}: ${text.trim().slice(0, LONGEST_REASON) || response.statusMessage}`, {
      status,
      ...(Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {}),
    });
  }
  const header = (name: string) => response.headers[name]?.toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ConsulError(`what answers is not Consul: ${what} gave no JSON`, { status, cause: error });
  }
  return {
    status,
    index: Number(header('x-consul-index') ?? 0),
    body: json,
    bytes: body.length,
    knownLeader: header('x-consul-knownleader') !== 'false',
    lastContactMs: Number(header('x-consul-lastcontact') ?? 0),
    filteredByAcl: header('x-consul-results-filtered-by-acls') === 'true',
  };
}

function queryString(query: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${given.map(([key, value]) => (value === '' ? key : `${key}=${encodeURIComponent(value)}`)).join('&')}`;
}

/** Node wants IPv6 addresses without the brackets of a URL. */
function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}
