import type { DnsRedirect, Family, RedirectConfig } from './redirect-config.ts';
import { PROOF_ADDRESS } from './redirect-proof.ts';
import { CHAINS, type RuleSet } from './rule-set.ts';

/** Only the first packet of a connection: what was open before goes on, in either direction. As iptables-save writes `--syn`. */
const SYN = '-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN';

/**
 * What stays on this host is left alone. Virtual IPs are not on this host even where a route to `lo` was laid for them: the
 * application would reach nothing, or somebody's wildcard listener.
 */
const LOCAL: Record<Family, readonly string[]> = {
  ipv4: ['! -d 240.0.0.0/4 -o lo -j RETURN', '-d 127.0.0.0/8 -j RETURN'],
  ipv6: ['-o lo -j RETURN', '-d ::1/128 -j RETURN'],
};

/** The rules of the nat table: Consul's chains and order, for one family. The order of values in `config` does not matter. */
export function buildRedirectRules(config: RedirectConfig, family: Family): RuleSet {
  const dns = config.dns?.server.family === family ? config.dns : undefined;
  return {
    chains: new Map([
      [CHAINS.dns, dns ? dnsRules(dns, config) : []],
      [CHAINS.inbound, [...excludedPorts(config.excludeInboundPorts), `-p tcp -j ${CHAINS.inboundRedirect}`]],
      [CHAINS.inboundRedirect, [`-p tcp -j REDIRECT --to-ports ${config.inboundPort}`]],
      [CHAINS.output, [...proof(config, family), ...LOCAL[family], ...outboundExclusions(config, family), `-j ${CHAINS.outputRedirect}`]],
      [CHAINS.outputRedirect, [`-p tcp -j REDIRECT --to-ports ${config.outboundPort}`]],
    ]),
    jumps: new Map([
      ['PREROUTING', { rules: [`${SYN} -j ${CHAINS.inbound}`] }],
      // DNS first: a query over TCP must not end at the proxy.
      ['OUTPUT', { rules: [...(dns ? dnsJumps(dns) : []), `${SYN} -j ${CHAINS.output}`] }],
    ]),
  };
}

/**
 * The rules of the filter table where IPv6 cannot be redirected: what would be redirected is refused, so that IPv6 is no way
 * around the proxy. Applications see "connection refused" at once and try IPv4.
 */
export function buildRefuseRules(config: RedirectConfig): RuleSet {
  const refuse = '-p tcp -j REJECT --reject-with tcp-reset';
  return {
    chains: new Map([
      [CHAINS.inbound, ['-i lo -j RETURN', ...excludedPorts([...config.excludeInboundPorts, config.inboundPort]), refuse]],
      [CHAINS.output, [...LOCAL.ipv6, ...outboundExclusions(config, 'ipv6'), refuse]],
    ]),
    jumps: new Map([
      // In front: an ACCEPT of somebody else's must not come first.
      ['INPUT', { rules: [`${SYN} -j ${CHAINS.inbound}`], position: 1 }],
      ['OUTPUT', { rules: [`${SYN} -j ${CHAINS.output}`], position: 1 }],
    ]),
  };
}

/**
 * Before the exclusions, so that the proxy's user can ask too. Both families are installed together or not at all, so one of them is
 * proof enough. Not at the port of the proxy: it would take in the connection, pass it on to the same address, and take it in again.
 */
function proof({ outboundPort }: RedirectConfig, family: Family): string[] {
  return family === 'ipv4' ? [`-d ${PROOF_ADDRESS}/32 -p tcp -m tcp ! --dport ${outboundPort} -j REDIRECT`] : [];
}

function outboundExclusions(config: RedirectConfig, family: Family): string[] {
  const networks = config.excludeOutboundCidrs.filter((cidr) => cidr.family === family).map((cidr) => cidr.text);
  return [
    ...ascending([config.proxyUid, ...config.excludeUids]).map((uid) => `-m owner --uid-owner ${uid} -j RETURN`),
    ...[...new Set(networks)].sort().map((cidr) => `-d ${cidr} -j RETURN`),
    ...excludedPorts(config.excludeOutboundPorts),
  ];
}

function excludedPorts(ports: readonly number[]): string[] {
  return ascending(ports).map((port) => `-p tcp -m tcp --dport ${port} -j RETURN`);
}

function dnsJumps(dns: DnsRedirect): string[] {
  const to = dnsDestination(dns);
  return [`${to}-p udp -m udp --dport 53 -j ${CHAINS.dns}`, `${to}-p tcp -m tcp --dport 53 --tcp-flags FIN,SYN,RST,ACK SYN -j ${CHAINS.dns}`];
}

function dnsRules(dns: DnsRedirect, config: RedirectConfig): string[] {
  const { text, family } = dns.server;
  const host = family === 'ipv6' && dns.port !== undefined ? `[${text}]` : text;
  const server = dns.port === undefined ? host : `${host}:${dns.port}`;
  // Where all queries are redirected, a DNS server on this host must still be able to ask others.
  const askers = dns.port === undefined ? ascending(config.excludeUids) : [];
  return [
    ...askers.map((uid) => `-m owner --uid-owner ${uid} -j RETURN`),
    ...['udp', 'tcp'].map((protocol) => `${dnsDestination(dns)}-p ${protocol} -m ${protocol} --dport 53 -j DNAT --to-destination ${server}`),
  ];
}

/** With a port only queries to the server itself are redirected, without one all. */
function dnsDestination({ server, port }: DnsRedirect): string {
  return port === undefined ? '' : `-d ${server.text}/${server.family === 'ipv4' ? 32 : 128} `;
}

function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}
