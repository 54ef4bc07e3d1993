import { readNamedFile } from '../../runtime/named-file.ts';
import { readRegularText } from '../../runtime/regular-file.ts';

/** Which Consul, and how to speak to it. */
export interface ConsulTarget {
  /** `http:` or `https:`; a path in front of `/v1` is kept. */
  readonly url: URL;
  /** Unix socket instead of the URL's host. */
  readonly socketPath?: string;
  /** Another datacenter than that of the agent. */
  readonly datacenter?: string;
  /** The token of the moment; a token file is read again each time. */
  readonly token: () => string | undefined;
  /** `user:password` for a proxy in front of Consul. */
  readonly basicAuth?: string;
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
}

/** What the command line says; the environment fills in the rest. */
export interface ConsulFlags {
  /** `http://HOST:PORT`, `https://…`, `HOST:PORT` or `unix:///path`. */
  readonly address?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly datacenter?: string;
  readonly caFile?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly tlsServerName?: string;
}

/** The flags or the environment do not say how to reach Consul. */
export class ConsulTargetError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConsulTargetError';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ADDRESS = '127.0.0.1:8500';

/**
 * Flags first, then Consul's own variables (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_AUTH,
 * CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME,
 * CONSUL_DATACENTER).
 * @throws ConsulTargetError, FileError
 */
export function resolveConsulTarget(flags: ConsulFlags, env: Environment): ConsulTarget {
  const given = flags.address || env.CONSUL_HTTP_ADDR || DEFAULT_ADDRESS;
  const unix = /^unix:\/\/(.+)$/.exec(given)?.[1];
  const secureByDefault = isTrue(env.CONSUL_HTTP_SSL);
  const url = unix === undefined ? parseAddress(given, secureByDefault) : new URL('http://localhost');
  const datacenter = flags.datacenter || env.CONSUL_DATACENTER;
  const inUrl = url.username ? `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` : undefined;
  const basicAuth = inUrl ?? env.CONSUL_HTTP_AUTH;
  url.username = '';
  url.password = '';
  return {
    url,
    ...(unix === undefined ? {} : { socketPath: unix }),
    ...(datacenter ? { datacenter } : {}),
    ...(basicAuth ? { basicAuth } : {}),
    token: tokenSource(flags, env),
    ...(url.protocol === 'https:' ? { tls: readTls(flags, env) } : {}),
  };
}

function parseAddress(text: string, secure: boolean): URL {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `${secure ? 'https' : 'http'}://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || !url.hostname) {
    throw new ConsulTargetError(`'${text}' is not the address of a Consul: for example http://${DEFAULT_ADDRESS} or unix:///run/consul.sock`);
  }
  if (secure) url.protocol = 'https:';
  return url;
}

function tokenSource(flags: ConsulFlags, env: Environment): () => string | undefined {
  const fixed = flags.token || (flags.tokenFile ? undefined : env.CONSUL_HTTP_TOKEN);
  if (fixed) return () => fixed;
  const file = flags.tokenFile || env.CONSUL_HTTP_TOKEN_FILE;
  if (!file) return () => undefined;
  let last = readNamedFile(file, 'the token file').trim();
  return () => {
    // While the file is being replaced the last token stands: it may well be valid still.
    try {
      last = readRegularText(file).trim() || last;
    } catch {}
    return last;
  };
}

function readTls(flags: ConsulFlags, env: Environment): NonNullable<ConsulTarget['tls']> {
  const ca = flags.caFile || env.CONSUL_CACERT;
  const cert = flags.clientCert || env.CONSUL_CLIENT_CERT;
  const key = flags.clientKey || env.CONSUL_CLIENT_KEY;
  if ((cert === undefined) !== (key === undefined)) throw new ConsulTargetError('a client certificate for Consul needs its key, and the key its certificate');
  const servername = flags.tlsServerName || env.CONSUL_TLS_SERVER_NAME;
  return {
    ...(ca ? { ca: readNamedFile(ca, 'the CA file of Consul') } : {}),
    ...(cert && key ? { cert: readNamedFile(cert, 'the client certificate for Consul'), key: readNamedFile(key, 'the client key for Consul') } : {}),
    ...(servername ? { servername } : {}),
    ...(env.CONSUL_HTTP_SSL_VERIFY !== undefined && !isTrue(env.CONSUL_HTTP_SSL_VERIFY) ? { rejectUnauthorized: false } : {}),
  };
}

/** As Go's strconv.ParseBool, which Consul uses. */
function isTrue(text: string | undefined): boolean {
  return ['1', 't', 'true'].includes((text ?? '').toLowerCase());
}
