import { existsSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Command } from 'commander';
import { adminSocketOf } from '../admin/admin-socket.ts';
import { readNamedFile } from '../runtime/named-file.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { defaultDataDir } from './data-dir.ts';
import { isLoopbackHost } from './host-port.ts';

export const DEFAULT_ADMIN_ADDR = 'http://127.0.0.1:18001';
const DEFAULT_TIMEOUT_MS = 5_000;

/** JSON over HTTP to a running adsum (`adsum serve --admin`). Paths start with `/`; failures are CliErrors. */
export interface AdminClient {
  readonly url: string;
  get(path: string): Promise<unknown>;
  post(path: string, body?: unknown): Promise<unknown>;
  delete(path: string): Promise<unknown>;
}

/** adsum runs, but said no. `status` is the HTTP status. */
export class AdminRefusal extends CliError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Nothing answered: adsum does not run there, or hangs. */
export class AdminUnreachable extends CliError {}

export interface AdminClientOptions {
  readonly url: string;
  /** Sent as `x-consul-token`. */
  readonly token?: string;
  /** PEM of the CAs of the server, for HTTPS; default: those of the system. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
  /** For the whole answer; default 5000. */
  readonly timeoutMs?: number;
}

export function adminClient(given: AdminClientOptions): AdminClient {
  const options = { ...given, url: given.url.replace(/\/+$/, '') };
  return {
    url: options.url,
    get: (path) => request(options, 'GET', path),
    post: (path, body) => request(options, 'POST', path, body),
    delete: (path) => request(options, 'DELETE', path),
  };
}

/** Adds `--admin-addr ADDRESS`. */
export function addAdminAddr(command: Command): Command {
  return command.option('--admin-addr <address>', `the running adsum: http://HOST:PORT or unix:///PATH, also ADSUM_ADDR (default ${DEFAULT_ADMIN_ADDR})`);
}

/** Adds `--token T`, which adsum wants of other hosts where Consul has ACLs. */
export function addAdminToken(command: Command): Command {
  return command.option('--token <token>', 'sent to an adsum on another host, also CONSUL_HTTP_TOKEN (which other users of the host cannot see in ps)');
}

/** The client that `--admin-addr`, ADSUM_ADDR or the default ask for, in this order. */
export function adminClientFor(command: Command, io: CliIo, options: { timeoutMs?: number } = {}): AdminClient {
  const url = parseAdminUrl(givenAddress(command, io) ?? DEFAULT_ADMIN_ADDR);
  const token = tokenFor(url, command, io);
  const caFile = command.optsWithGlobals<{ tlsCa?: string }>().tlsCa ?? io.env.ADSUM_CACERT;
  const ca = caFile && url.startsWith('https:') ? { ca: readNamedFile(caFile, 'the CA of the admin port') } : {};
  return adminClient({ url, signal: io.signal, ...ca, ...(token ? { token } : {}), ...options });
}

/** Adds `--admin-addr ADDRESS` for a command that changes something or gets a key. */
export function addAdminSocket(command: Command): Command {
  return command.option(
    '--admin-addr <address>',
    'the running adsum on this host: unix:///PATH of its socket, or http://HOST:PORT to ask it for that; also ADSUM_ADDR (default: admin.sock in the default data dir)',
  );
}

/**
 * The client for what changes something or hands out a key: adsum takes that over its Unix socket only. An address of HTTP is asked
 * where the socket is. Without an address it is the one in the default data dir, or that of the adsum at the default address.
 */
export async function adminWriterFor(command: Command, io: CliIo): Promise<AdminClient> {
  const given = givenAddress(command, io);
  const inDataDir = adminSocketOf(defaultDataDir(io.env));
  const url = given === undefined && existsSync(inDataDir) ? `unix://${inDataDir}` : parseAdminUrl(given ?? DEFAULT_ADMIN_ADDR);
  if (socketOf(url) !== undefined) return adminClient({ url, signal: io.signal });
  if (!isLoopbackHost(hostOf(url))) {
    throw new CliError(`adsum at ${url} takes this from its own host only`, { hint: 'run the command there, as root or as the user adsum runs as' });
  }
  const { socket } = (await adminClient({ url, signal: io.signal }).get('/v1/admin')) as { socket?: unknown };
  if (typeof socket !== 'string') throw new CliError(`adsum at ${url} names no Unix socket`);
  return adminClient({ url: `unix://${socket}`, signal: io.signal });
}

function givenAddress(command: Command, io: CliIo): string | undefined {
  return command.optsWithGlobals<{ adminAddr?: string }>().adminAddr || io.env.ADSUM_ADDR || undefined;
}

/** On this host adsum asks for none, so a token stays where it is: whoever else listens on that port would get it. */
function tokenFor(url: string, command: Command, io: CliIo): string | undefined {
  if (socketOf(url) !== undefined || isLoopbackHost(hostOf(url))) return undefined;
  const flags = command.optsWithGlobals<{ token?: string; tokenFile?: string }>();
  const inline = flags.token ?? (flags.tokenFile === undefined ? io.env.CONSUL_HTTP_TOKEN : undefined);
  const file = flags.tokenFile ?? io.env.CONSUL_HTTP_TOKEN_FILE;
  const token = inline || (file && readNamedFile(file, 'the file of the token').trim());
  if (!token) return undefined;
  if (url.startsWith('http:')) io.err(`adsum: warning: the token goes to ${url} in clear text\n`);
  return token;
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
}

/** Takes `http://host:port`, `https://…`, a bare `host:port` and `unix:///path`. */
export function parseAdminUrl(text: string): string {
  if (socketOf(text) !== undefined) return text;
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`--admin-addr '${text}' is neither an HTTP address nor a Unix socket`, {
      hint: `for example ${DEFAULT_ADMIN_ADDR}, or unix:///var/lib/adsum/admin.sock`,
    });
  }
  return withScheme.replace(/\/+$/, '');
}

async function request(options: AdminClientOptions, method: string, path: string, body?: unknown): Promise<unknown> {
  const { url } = options;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const headers = {
    accept: 'application/json',
    ...(options.token ? { 'x-consul-token': options.token } : {}),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  let answer: { status: number; text: string };
  try {
    answer = await send(options, path, { method, headers, signal }, body === undefined ? undefined : JSON.stringify(body));
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const reason = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : connectionReason(error);
    throw new AdminUnreachable(`no adsum answers at ${url}: ${reason}`, { hint: hintFor(error, socketOf(url)), cause: error });
  }
  const { status, text } = answer;
  const json = parseJson(text);
  if (status >= 400) throw new AdminRefusal(status, refusalReason(json) ?? `adsum at ${url} answered ${status} to ${method} ${path}`);
  if (json === undefined) throw new CliError(`what answers at ${url} is not adsum: ${method} ${path} gave no JSON`);
  return json;
}

interface Sent {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
}

function send(options: AdminClientOptions, path: string, sent: Sent, body: string | undefined): Promise<{ status: number; text: string }> {
  const { url, ca } = options;
  const socketPath = socketOf(url);
  return new Promise((resolve, reject) => {
    const take = (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    };
    const call =
      socketPath !== undefined
        ? http.request({ ...sent, socketPath, path, headers: { ...sent.headers, host: 'localhost' } }, take)
        : url.startsWith('https:')
          ? https.request(`${url}${path}`, { ...sent, agent: false, ...(ca === undefined ? {} : { ca }) }, take)
          : http.request(`${url}${path}`, { ...sent, agent: false }, take);
    call.on('error', reject);
    call.end(body);
  });
}

/** The file of `unix:///path`. */
function socketOf(url: string): string | undefined {
  return /^unix:\/\/(\/.+)$/.exec(url)?.[1];
}

function systemError(error: unknown): Partial<NodeJS.ErrnoException> {
  return error instanceof Error ? error : { message: String(error) };
}

function connectionReason(error: unknown): string {
  const { code, message, name } = systemError(error);
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ENOENT') return 'there is no such socket';
  if (code === 'EACCES') return 'permission denied';
  return message || name || String(error);
}

function hintFor(error: unknown, socket: string | undefined): string {
  if (socket !== undefined && systemError(error).code === 'EACCES') return 'only root and the user adsum runs as may open it';
  return 'start one with `adsum serve`, or name its address with --admin-addr or ADSUM_ADDR';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusalReason(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  if ('message' in json && typeof json.message === 'string') return json.message;
  if ('error' in json && typeof json.error === 'string') return json.error;
  return undefined;
}
