import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { type Command, Option } from 'commander';
import type { AdminBind, BootstrapInput } from '../envoy/bootstrap.ts';
import { readNamedFile } from '../runtime/named-file.ts';
import { type AdminClient, AdminRefusal, addAdminAddr, adminClientFor } from './admin-client.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { connectionsFor, openFileLimit } from './connection-limit.ts';
import { parseControlPlane } from './control-plane-address.ts';
import { isLoopbackHost, parseHostPort } from './host-port.ts';

const SIDECAR_SUFFIX = '-sidecar-proxy';
/** Only against an adsum that hangs; one that does not run refuses at once. A busy one may take a while to answer. */
const LOOK_UP_TIMEOUT_MS = 10_000;
/** Source: `sun_path` in unix(7), less the NUL at its end. */
export const LONGEST_SOCKET_PATH = 107;

interface BootstrapFlags {
  readonly sidecarFor?: string;
  readonly proxyId?: string;
  readonly nodeName?: string;
  readonly service?: string;
  readonly datacenter?: string;
  readonly grpcAddr: string;
  readonly adminBind?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tlsCa?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly ipv6: 'auto' | 'on' | 'off';
  readonly maxDownstreamConnections?: string;
  readonly adminAddr?: string;
}

/** The flags that `bootstrap` and `envoy` share. `defaultAdmin` says in the help where the admin interface is without `--admin-bind`. */
export function addBootstrapOptions(command: Command, defaultAdmin: string): Command {
  command
    .option('--sidecar-for <service-id>', 'the service instance whose sidecar this is, also CONNECT_SIDECAR_FOR')
    .option('--proxy-id <id>', 'the service ID of the proxy itself, also CONNECT_PROXY_ID')
    .option('--node-name <name>', 'its node, needed only where the ID is used on several')
    .option('--grpc-addr <address>', 'xDS of adsum: HOST:PORT or unix:///path', '127.0.0.1:18000')
    .option('--admin-bind <address>', `where Envoy serves its own admin interface: IP:PORT, unix:///path or off; ${defaultAdmin}`)
    .option('--token <token>', 'sent to adsum with each stream, also CONSUL_HTTP_TOKEN (which other users of the host cannot see in ps)')
    .option('--token-file <file>', 'file with it and nothing else, also CONSUL_HTTP_TOKEN_FILE; Envoy reads it')
    .option('--tls-ca <file>', 'PEM of the CAs of the xDS server; switches TLS on')
    .option('--client-cert <file>', 'certificate that Envoy shows to adsum, PEM; Envoy reads it')
    .option('--client-key <file>', 'its private key, PEM; Envoy reads it')
    .option('--service <name>', 'the service it stands for; default: asked of adsum, else the ID of the instance')
    .option('--datacenter <name>', 'its datacenter, for metrics; default: asked of adsum, else dc1')
    .addOption(
      new Option('--ipv6 <when>', 'whether listeners may bind IPv6 loopback; auto: if this host has it').choices(['auto', 'on', 'off']).default('auto'),
    )
    .option('--max-downstream-connections <count>', 'Envoy refuses more, both directions together; default: a third of the file descriptors it may open');
  return addAdminAddr(command);
}

/** The flags, checked and completed by what adsum knows of the proxy if it answers; no `admin` without `--admin-bind`. Warnings go to stderr. */
export async function bootstrapInput(command: Command, io: CliIo): Promise<BootstrapInput> {
  const flags = command.opts<BootstrapFlags>();
  const proxyId = chooseProxyId(flags, io.env);
  const controlPlane = parseControlPlane(flags.grpcAddr, '--grpc-addr');
  const admin = flags.adminBind === undefined ? undefined : parseAdminBind(flags.adminBind);
  const given = flags.maxDownstreamConnections;
  const maxDownstreamConnections = given === undefined ? connectionsFor(openFileLimit()) : parseCount(given);
  const tlsCa = flags.tlsCa === undefined ? undefined : readCa(flags.tlsCa);
  const token = tokenSource(flags, io.env);
  const clientCertificate = clientCertificateOf(flags);
  if (token && tlsCa === undefined && controlPlane.kind !== 'unix' && !isLoopbackHost(controlPlane.host)) {
    io.err(`adsum: warning: the token goes to ${flags.grpcAddr} in clear text; use --tls-ca\n`);
  }
  if (admin && 'address' in admin && !isLoopbackHost(admin.address)) {
    io.err(`adsum: warning: Envoy's admin interface on ${admin.address} lets everybody who reaches it stop the proxy\n`);
  }
  const known = await lookUp(flags, proxyId, command, io);
  return {
    proxyId,
    service: flags.service ?? known.service ?? defaultService(proxyId),
    datacenter: flags.datacenter ?? known.datacenter ?? 'dc1',
    controlPlane,
    ...(admin && { admin }),
    ipv6: flags.ipv6 === 'auto' ? hasIpv6Loopback() : flags.ipv6 === 'on',
    maxDownstreamConnections,
    ...(known.outboundPort && { outboundPort: known.outboundPort }),
    ...(flags.nodeName ? { nodeName: flags.nodeName } : {}),
    ...(token ? { token } : {}),
    ...(tlsCa === undefined ? {} : { tlsCa }),
    ...(clientCertificate ? { clientCertificate } : {}),
  };
}

/** Flags win over the environment, and there the token itself over a file. */
function tokenSource(flags: BootstrapFlags, env: CliIo['env']): { inline: string } | { file: string } | undefined {
  if (flags.token !== undefined && flags.tokenFile !== undefined) throw new UsageError('--token and --token-file exclude each other');
  const inline = flags.token ?? (flags.tokenFile === undefined ? env.CONSUL_HTTP_TOKEN : undefined);
  if (inline) return { inline };
  const given = flags.tokenFile ?? env.CONSUL_HTTP_TOKEN_FILE;
  if (!given) return undefined;
  const content = readNamedFile(given, '--token-file');
  // Envoy sends the whole content, and a header holds no line break
  if (!/^\S+$/.test(content)) {
    throw new CliError(`--token-file ${given} must hold the token and nothing else, no line break either`, {
      hint: 'adsum token create --out writes such a file; or: printf %s "$TOKEN" > FILE',
    });
  }
  return { file: path.resolve(given) };
}

function clientCertificateOf({ clientCert, clientKey, tlsCa }: BootstrapFlags): { cert: string; key: string } | undefined {
  if (clientCert === undefined && clientKey === undefined) return undefined;
  if (clientCert === undefined || clientKey === undefined) throw new UsageError('--client-cert and --client-key go together');
  if (tlsCa === undefined) throw new UsageError('--client-cert needs --tls-ca: a certificate is shown in TLS only');
  const pair = { cert: readNamedFile(clientCert, '--client-cert'), key: readNamedFile(clientKey, '--client-key') };
  if (!fitsTogether(pair)) throw new CliError('--client-cert and --client-key are no certificate with its private key, in PEM');
  return { cert: path.resolve(clientCert), key: path.resolve(clientKey) };
}

function fitsTogether({ cert, key }: { cert: string; key: string }): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Flags win over the environment; a sidecar's ID is its service's with a suffix, as a Consul agent registers it. */
function chooseProxyId(flags: BootstrapFlags, env: CliIo['env']): string {
  if (flags.sidecarFor !== undefined && flags.proxyId !== undefined) throw new UsageError('--sidecar-for and --proxy-id exclude each other');
  const explicit = flags.proxyId ?? (flags.sidecarFor === undefined ? env.CONNECT_PROXY_ID : undefined);
  if (explicit) return explicit;
  const sidecarFor = flags.sidecarFor ?? env.CONNECT_SIDECAR_FOR;
  if (sidecarFor) return `${sidecarFor}${SIDECAR_SUFFIX}`;
  throw new UsageError('--sidecar-for SERVICE_ID or --proxy-id ID is needed');
}

function defaultService(proxyId: string): string {
  return proxyId.endsWith(SIDECAR_SUFFIX) ? proxyId.slice(0, -SIDECAR_SUFFIX.length) : proxyId;
}

/** @returns undefined for `off` */
function parseAdminBind(text: string): AdminBind | undefined {
  if (text === 'off') return undefined;
  const socket = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (socket && Buffer.byteLength(socket) > LONGEST_SOCKET_PATH) {
    throw new UsageError(`--admin-bind '${text}': the path of a socket has at most ${LONGEST_SOCKET_PATH} bytes`);
  }
  if (socket) return { socket };
  const { host, port } = parseHostPort(text, '--admin-bind');
  const address = host === 'localhost' ? '127.0.0.1' : host;
  if (!isIP(address)) throw new UsageError(`--admin-bind '${text}': Envoy binds IP addresses only`);
  return { address, port };
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new UsageError(`--max-downstream-connections '${text}' is not a positive whole number`);
  return count;
}

/** The certificates travel inside the bootstrap, so the file need not be readable for Envoy's user. */
function readCa(file: string): string {
  const pem = readNamedFile(file, '--tls-ca');
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw new CliError(`--tls-ca ${file} holds no PEM certificate`);
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate);
    } catch (error) {
      throw new CliError(`--tls-ca ${file} holds a certificate that cannot be read`, { cause: error });
    }
  }
  return `${certificates.join('\n')}\n`;
}

interface KnownProxy {
  readonly service?: string;
  readonly datacenter?: string;
  readonly outboundPort?: number;
}

/** No adsum need be running: without an answer nothing is known. That is worth a word only where its address was given. */
async function lookUp(flags: BootstrapFlags, proxyId: string, command: Command, io: CliIo): Promise<KnownProxy> {
  if (flags.service !== undefined && flags.datacenter !== undefined) return {};
  const client = adminClientFor(command, io, { timeoutMs: LOOK_UP_TIMEOUT_MS });
  const node = flags.nodeName ? `?node=${encodeURIComponent(flags.nodeName)}` : '';
  try {
    return knownProxy(await askProxy(client, `/v1/proxies/${encodeURIComponent(proxyId)}${node}`));
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (flags.adminAddr || io.env.ADSUM_ADDR) io.err(`adsum: warning: ${error.message}; the bootstrap holds what the flags say\n`);
    return {};
  }
}

async function askProxy(client: AdminClient, path: string): Promise<unknown> {
  try {
    return await client.get(path);
  } catch (error) {
    // A proxy that is not registered yet is no mistake: the bootstrap may well be written first.
    if (error instanceof AdminRefusal && error.status === 404) return {};
    throw error;
  }
}

function knownProxy(answer: unknown): KnownProxy {
  if (typeof answer !== 'object' || answer === null) return {};
  const redirect = 'redirect' in answer && typeof answer.redirect === 'object' ? answer.redirect : undefined;
  return {
    ...(redirect && 'outbound_port' in redirect && typeof redirect.outbound_port === 'number' ? { outboundPort: redirect.outbound_port } : {}),
    ...('service' in answer && typeof answer.service === 'string' && answer.service !== '' ? { service: answer.service } : {}),
    ...('datacenter' in answer && typeof answer.datacenter === 'string' && answer.datacenter !== '' ? { datacenter: answer.datacenter } : {}),
  };
}

function hasIpv6Loopback(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));
}
