import ipaddr from 'ipaddr.js';

/**
 * Who is answered unless told otherwise: this host, and networks that no packet of the internet comes from (RFC 1918, RFC 6598, RFC 3927,
 * RFC 4193, RFC 4291). A name server that answers everybody is used against others.
 */
export const DEFAULT_CLIENT_NETWORKS = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
];

/** What was given as a client network is none. */
export class ClientNetworkError extends Error {
  readonly code = 'dns-bad-client-network';

  constructor(text: string) {
    super(`--dns-clients ${JSON.stringify(text)} is no network such as 10.0.0.0/8, fd00::/8 or 192.0.2.1, and not 'any'`);
    this.name = 'ClientNetworkError';
  }
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The address of a client; IPv4 in the clothes of IPv6 is IPv4. Undefined: no IP address. */
export function clientAddress(text: string): Address | undefined {
  const [address = ''] = text.split('%');
  return ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
}

/** @throws ClientNetworkError */
export function parseClientNetworks(texts: readonly string[]): (client: string) => boolean {
  if (texts.includes('any')) return () => true;
  const networks = texts.map(parseNetwork);
  return (client) => {
    const address = clientAddress(client);
    return address !== undefined && networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
  };
}

function parseNetwork(text: string): [Address, number] {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text) as [Address, number];
    if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) throw new Error(text);
    const address = ipaddr.process(text);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch {
    throw new ClientNetworkError(text);
  }
}

/** The network that shares a budget: a /24, or a /56. Whoever forges one source address can forge its neighbours'. */
export function neighbourhood(client: string): { key: string; loopback: boolean } {
  const address = clientAddress(client);
  if (!address) return { key: client, loopback: false };
  const bytes = address.toByteArray().slice(0, address.kind() === 'ipv4' ? 3 : 7);
  return { key: bytes.join('.'), loopback: address.range() === 'loopback' };
}
