import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Address, Family, RedirectConfig } from './redirect-config.ts';

/** The values as the user wrote them. Users are numbers already: names are looked up before. */
export interface RedirectValues {
  readonly proxyUid: string;
  readonly inboundPort: string;
  readonly outboundPort: string;
  readonly excludeInboundPorts: readonly string[];
  readonly excludeOutboundPorts: readonly string[];
  readonly excludeOutboundCidrs: readonly string[];
  readonly excludeUids: readonly string[];
  readonly dnsIp?: string;
  readonly dnsPort?: string;
}

/** uid_t is 32 bits wide, and its last value means "none". */
const MAX_UID = 2 ** 32 - 2;

/** The configuration, or every defect with the name of its flag. */
export function parseRedirect(values: RedirectValues): RedirectConfig | { readonly defects: readonly string[] } {
  const defects: string[] = [];
  const check = <T>(flag: string, text: string, parse: (text: string) => T | undefined, what: string): T[] => {
    const value = parse(text);
    if (value === undefined) defects.push(`--${flag} '${text}' is not ${what}`);
    return value === undefined ? [] : [value];
  };
  const port = (flag: string, text: string): number[] => check(flag, text, parsePort, 'a port from 1 to 65535');
  const uid = (flag: string, text: string): number[] => check(flag, text, parseUid, 'a user of this host');

  const [proxyUid] = uid('proxy-uid', values.proxyUid);
  const [inboundPort] = port('proxy-inbound-port', values.inboundPort);
  const [outboundPort] = port('proxy-outbound-port', values.outboundPort);
  const config = {
    excludeInboundPorts: values.excludeInboundPorts.flatMap((text) => port('exclude-inbound-port', text)),
    excludeOutboundPorts: values.excludeOutboundPorts.flatMap((text) => port('exclude-outbound-port', text)),
    excludeOutboundCidrs: values.excludeOutboundCidrs.flatMap((text) =>
      check('exclude-outbound-cidr', text, parseCidr, 'a network such as 10.0.0.0/8 or fd00::/8'),
    ),
    excludeUids: values.excludeUids.flatMap((text) => uid('exclude-uid', text)),
  };
  const [dnsServer] = values.dnsIp === undefined ? [] : check('consul-dns-ip', values.dnsIp, parseAddress, 'an IP address');
  const [dnsPort] = values.dnsPort === undefined ? [] : port('consul-dns-port', values.dnsPort);
  if (inboundPort !== undefined && inboundPort === outboundPort) defects.push(`--proxy-inbound-port and --proxy-outbound-port are both ${inboundPort}`);
  if (defects.length > 0 || proxyUid === undefined || inboundPort === undefined || outboundPort === undefined) return { defects };
  const dns = dnsServer || dnsPort ? { server: dnsServer ?? LOOPBACK, ...(dnsPort === undefined ? {} : { port: dnsPort }) } : undefined;
  return { proxyUid, inboundPort, outboundPort, ...config, ...(dns ? { dns } : {}) };
}

const LOOPBACK: Address = { family: 'ipv4', text: '127.0.0.1' };

function parsePort(text: string): number | undefined {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535 ? port : undefined;
}

function parseUid(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= MAX_UID ? Number(text) : undefined;
}

function parseAddress(text: string): Address | undefined {
  const family = familyOf(text);
  return family && { family, text: shortest(ipaddr.parse(text)) };
}

/** A network; a bare address is a network of one. */
function parseCidr(text: string): Address | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = familyOf(address);
  const bits = family === 'ipv4' ? 32 : 128;
  if (!family || rest.length > 0 || (prefix !== undefined && (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits))) return undefined;
  const length = Number(prefix ?? bits);
  const parsed = family === 'ipv4' ? ipaddr.IPv4.networkAddressFromCIDR(`${address}/${length}`) : ipaddr.IPv6.networkAddressFromCIDR(`${address}/${length}`);
  return { family, text: `${shortest(parsed)}/${length}` };
}

/** Zones (`fe80::1%eth0`) have no place in a rule. */
function familyOf(text: string): Family | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  return version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : undefined;
}

function shortest(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
