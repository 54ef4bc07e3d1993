import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Host, systemHost } from '../redirect/host.ts';
import { RedirectError } from '../redirect/iptables.ts';
import { parseRedirect } from '../redirect/parse-redirect.ts';
import type { RedirectConfig } from '../redirect/redirect-config.ts';
import { whyNotRedirected } from '../redirect/redirect-proof.ts';
import { installRedirect, planRedirect, undoRedirect } from '../redirect/redirect-traffic.ts';
import { resolveUser } from '../redirect/resolve-user.ts';
import { addAdminAddr, addAdminToken, adminClientFor } from './admin-client.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';

/** Where Envoy takes the connections of applications unless the registration says otherwise. */
const DEFAULT_OUTBOUND_PORT = '15001';

interface RedirectFlags {
  readonly proxyUid?: string;
  readonly proxyId?: string;
  readonly nodeName?: string;
  readonly proxyInboundPort?: string;
  readonly proxyOutboundPort?: string;
  readonly excludeInboundPort: readonly string[];
  readonly excludeOutboundPort: readonly string[];
  readonly excludeOutboundCidr: readonly string[];
  readonly excludeUid: readonly string[];
  readonly consulDnsIp?: string;
  readonly consulDnsPort?: string;
  readonly dryRun?: boolean;
  readonly undo?: boolean;
  readonly check?: boolean;
}

export function registerRedirectTraffic(program: Command, io: CliIo): void {
  const several = (value: string, before: readonly string[]): string[] => [...before, value];
  const command = program
    .command('redirect-traffic')
    .description("send this host's TCP connections through its sidecar")
    .option('--proxy-uid <uid>', 'user the proxy runs as: its own connections are left alone')
    .option('--proxy-id <id>', 'the proxy whose ports the running adsum is asked for')
    .option('--node-name <name>', 'its node, needed only where the ID is used on several')
    .option('--proxy-inbound-port <port>', 'where the proxy listens for connections from outside')
    .option('--proxy-outbound-port <port>', `where it listens for connections of applications (default ${DEFAULT_OUTBOUND_PORT})`)
    .option('--exclude-inbound-port <port>', 'stays reachable from outside without the proxy, e.g. 22 (repeatable)', several, [])
    .option('--exclude-outbound-port <port>', 'is dialed without the proxy (repeatable)', several, [])
    .option('--exclude-outbound-cidr <network>', 'is dialed without the proxy, IPv4 or IPv6 (repeatable)', several, [])
    .option('--exclude-uid <uid>', 'user whose connections are left alone (repeatable)', several, [])
    .option('--consul-dns-ip <ip>', 'send DNS queries to this server')
    .option('--consul-dns-port <port>', 'send DNS queries for that server, or 127.0.0.1, to this port')
    .option('--dry-run', 'print what iptables-restore would get and change nothing')
    .option('--undo', 'remove all redirection again')
    .option('--check', 'say whether the redirection is in place; any user may ask');
  addAdminToken(addAdminAddr(command)).action(async (flags: RedirectFlags) => {
    if (flags.check) return reportRedirection(io);
    const host = systemHost(io.env);
    const wanted = flags.undo ? 'undo' : await redirectConfig(flags, host, command, io);
    asCliErrors(() => {
      if (flags.dryRun) return io.out(planRedirect(wanted, host));
      requireNetAdmin();
      if (wanted !== 'undo') warn(wanted, io);
      const report = wanted === 'undo' ? undoRedirect(host) : installRedirect(wanted, host);
      for (const line of report) io.err(`${line}\n`);
    });
  });
}

async function reportRedirection(io: CliIo): Promise<void> {
  const obstacle = await whyNotRedirected();
  if (obstacle !== undefined) {
    throw new CliError(`connections of this host do not go through a proxy: ${obstacle}`, { code: 'not-redirected', hint: 'run adsum redirect-traffic' });
  }
  io.err('new TCP connections of this host go through its proxy\n');
}

/** All flags, checked before anything is touched. */
async function redirectConfig(flags: RedirectFlags, host: Host, command: Command, io: CliIo): Promise<RedirectConfig> {
  if (flags.proxyUid === undefined) throw new UsageError('--proxy-uid UID is needed');
  if ((flags.proxyId === undefined) === (flags.proxyInboundPort === undefined)) {
    throw new UsageError('either --proxy-id ID or --proxy-inbound-port PORT is needed');
  }
  const ask = async () => (flags.proxyId === undefined ? undefined : await askForPorts(flags.proxyId, flags.nodeName, command, io));
  const check = (known: Awaited<ReturnType<typeof ask>>) =>
    parseRedirect({
      proxyUid: resolveUser(host, flags.proxyUid ?? ''),
      inboundPort: flags.proxyInboundPort ?? known?.inboundPort ?? '1',
      outboundPort: flags.proxyOutboundPort ?? known?.outboundPort ?? DEFAULT_OUTBOUND_PORT,
      excludeInboundPorts: [...flags.excludeInboundPort, ...(known?.excludeInboundPorts ?? [])],
      excludeOutboundPorts: flags.excludeOutboundPort,
      excludeOutboundCidrs: flags.excludeOutboundCidr,
      excludeUids: flags.excludeUid.map((user) => resolveUser(host, user)),
      ...(flags.consulDnsIp === undefined ? {} : { dnsIp: flags.consulDnsIp }),
      ...(flags.consulDnsPort === undefined ? {} : { dnsPort: flags.consulDnsPort }),
    });
  // Wrong flags are reported without asking anybody.
  const alone = check(undefined);
  if ('defects' in alone) throw wrongUsage(alone.defects);
  const known = await ask();
  const config = known ? check(known) : alone;
  if ('defects' in config) throw wrongUsage(config.defects);
  return config;
}

function wrongUsage(defects: readonly string[]): UsageError {
  const [first = 'wrong usage', ...others] = defects;
  return new UsageError(first, others.length > 0 ? { hint: others.join('\n') } : {});
}

/** What the running adsum knows of the proxy's ports. */
async function askForPorts(proxyId: string, node: string | undefined, command: Command, io: CliIo) {
  const query = node === undefined ? '' : `?node=${encodeURIComponent(node)}`;
  const client = adminClientFor(command, io);
  const answer = await client.get(`/v1/proxies/${encodeURIComponent(proxyId)}${query}`);
  const redirect = typeof answer === 'object' && answer !== null && 'redirect' in answer ? answer.redirect : undefined;
  if (typeof redirect !== 'object' || redirect === null || !('bind_port' in redirect)) {
    throw new CliError(`proxy '${proxyId}' is not registered with adsum at ${client.url}`, { hint: 'register it first, or use --proxy-inbound-port' });
  }
  const excluded = 'exclude_inbound_ports' in redirect && Array.isArray(redirect.exclude_inbound_ports) ? redirect.exclude_inbound_ports : [];
  return {
    inboundPort: String(redirect.bind_port),
    ...('outbound_port' in redirect ? { outboundPort: String(redirect.outbound_port) } : {}),
    excludeInboundPorts: excluded.map(String),
  };
}

function asCliErrors(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (error instanceof RedirectError) throw new CliError(error.message, { ...(error.hint ? { hint: error.hint } : {}), cause: error });
    throw error;
  }
}

/** Bit 12 of the effective capabilities; in a container root may lack it. */
function requireNetAdmin(): void {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (effective === undefined || (BigInt(`0x${effective}`) >> 12n) & 1n) return;
  throw new CliError('changing the firewall needs root, or the capability CAP_NET_ADMIN');
}

/** Redirection leaves open sessions alone, but the next login would end at the proxy. */
function warn(config: RedirectConfig, io: CliIo): void {
  const sshPort = Number(io.env.SSH_CONNECTION?.split(' ')[3]);
  if (sshPort && !config.excludeInboundPorts.includes(sshPort)) {
    io.err(`adsum: warning: new SSH connections to port ${sshPort} will end at the proxy; exclude it with --exclude-inbound-port ${sshPort}\n`);
  }
  if (config.proxyUid === 0) io.err('adsum: warning: with --proxy-uid 0 no connection of root is redirected; give the proxy a user of its own\n');
}
