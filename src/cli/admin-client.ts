import type { Command } from 'commander';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { isLoopbackHost } from './host-port.ts';

export const DEFAULT_ADMIN_ADDR = 'http://127.0.0.1:18001';
const DEFAULT_TIMEOUT_MS = 5_000;

/** JSON over HTTP to a running adsum (`adsum serve --admin`). Paths start with `/`; failures are CliErrors. */
export interface AdminClient {
  readonly url: string;
  get(path: string): Promise<unknown>;
  post(path: string, body?: unknown): Promise<unknown>;
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
  readonly signal?: AbortSignal;
  /** For the whole answer; default 5000. */
  readonly timeoutMs?: number;
}

export function adminClient(options: AdminClientOptions): AdminClient {
  const url = options.url.replace(/\/+$/, '');
  return {
    url,
    get: (path) => request(url, options, 'GET', path),
    post: (path, body) => request(url, options, 'POST', path, body),
  };
}

/** Adds `--admin-addr URL`. */
export function addAdminAddr(command: Command): Command {
  return command.option('--admin-addr <url>', `HTTP of the running adsum, also ADSUM_ADDR (default ${DEFAULT_ADMIN_ADDR})`);
}

/** Adds `--token T`, which adsum wants of other hosts where Consul has ACLs. */
export function addAdminToken(command: Command): Command {
  return command.option('--token <token>', 'sent to an adsum on another host, also CONSUL_HTTP_TOKEN (which other users of the host cannot see in ps)');
}

/** The client that `--admin-addr`, ADSUM_ADDR or the default ask for, in this order. */
export function adminClientFor(command: Command, io: CliIo, options: { timeoutMs?: number } = {}): AdminClient {
  const given = command.optsWithGlobals<{ adminAddr?: string }>().adminAddr || io.env.ADSUM_ADDR || DEFAULT_ADMIN_ADDR;
  const url = parseAdminUrl(given);
  const token = tokenFor(url, command, io);
  return adminClient({ url, signal: io.signal, ...(token ? { token } : {}), ...options });
}

/** On this host adsum asks for none, so a token stays where it is: whoever else listens on that port would get it. */
function tokenFor(url: string, command: Command, io: CliIo): string | undefined {
  const { protocol, hostname } = new URL(url);
  const token = command.optsWithGlobals<{ token?: string }>().token ?? io.env.CONSUL_HTTP_TOKEN;
  if (!token || isLoopbackHost(hostname.replace(/^\[(.*)\]$/, '$1'))) return undefined;
  if (protocol === 'http:') io.err(`adsum: warning: the token goes to ${url} in clear text\n`);
  return token;
}

/** Takes `http://host:port`, `https://…` and a bare `host:port`. */
export function parseAdminUrl(text: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`--admin-addr '${text}' is not an HTTP address`, { hint: `for example ${DEFAULT_ADMIN_ADDR}` });
  }
  return withScheme.replace(/\/+$/, '');
}

async function request(url: string, options: AdminClientOptions, method: string, path: string, body?: unknown): Promise<unknown> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      signal,
      headers: {
        accept: 'application/json',
        ...(options.token ? { 'x-consul-token': options.token } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const reason = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : connectionReason(error);
    throw new AdminUnreachable(`no adsum answers at ${url}: ${reason}`, {
      hint: 'start one with `adsum serve`, or name its address with --admin-addr or ADSUM_ADDR',
      cause: error,
    });
  }
  const json = parseJson(text);
  if (status >= 400) throw new AdminRefusal(status, refusalReason(json) ?? `adsum at ${url} answered ${status} to ${method} ${path}`);
  if (json === undefined) throw new CliError(`what answers at ${url} is not adsum: ${method} ${path} gave no JSON`);
  return json;
}

/** fetch hides the system's reason in `cause`. */
function connectionReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  if ('code' in cause && cause.code === 'ECONNREFUSED') return 'connection refused';
  return cause.message || cause.name;
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
