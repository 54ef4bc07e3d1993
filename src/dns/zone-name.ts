import ipaddr from 'ipaddr.js';

/** What a name in the zone stands for. */
export type ZoneName =
  | { readonly kind: 'apex' }
  /** `ns.consul`: this server. */
  | { readonly kind: 'name-server' }
  | { readonly kind: 'virtual' | 'connect'; readonly service: string }
  | { readonly kind: 'service'; readonly service: string; readonly tag?: string }
  /** `0a000001.addr.dc1.consul`: the address in the name itself. */
  | { readonly kind: 'address'; readonly address: string }
  /** Has no records, but names below it may: `service.consul`. An NXDOMAIN here would deny all of those (RFC 8020). */
  | { readonly kind: 'branch' }
  | { readonly kind: 'unknown' };

const NAME_KINDS = ['virtual', 'service', 'connect', 'addr'] as const;
type NameKind = (typeof NAME_KINDS)[number];

/** Labels of a name, lower case, without the root's. */
export function labelsOf(name: string): string[] {
  return name
    .toLowerCase()
    .split('.')
    .filter((label) => label !== '');
}

export function isInZone(name: string, domain: string): boolean {
  const labels = labelsOf(name);
  const zone = labelsOf(domain);
  return labels.length >= zone.length && zone.every((label, i) => labels[labels.length - zone.length + i] === label);
}

/**
 * Reads a name of the zone: `[TAG.]SERVICE.service`, `_SERVICE._tcp.service` (RFC 2782), `SERVICE.virtual`, `SERVICE.connect`,
 * `HEX.addr`, each followed by nothing, the datacenter, or Consul's long form `[default.ns.][default.ap.][dc1.dc]`.
 */
export function parseZoneName(name: string, domain: string, datacenter: string): ZoneName {
  const all = labelsOf(name);
  const labels = all.slice(0, all.length - labelsOf(domain).length);
  if (labels.length === 0) return { kind: 'apex' };
  if (labels.length === 1 && labels[0] === 'ns') return { kind: 'name-server' };
  if (isScope(labels, datacenter)) return { kind: 'branch' };
  for (let i = labels.length - 1; i >= 0; i -= 1) {
    const kind = NAME_KINDS.find((known) => known === labels[i]);
    if (kind && isScope(labels.slice(i + 1), datacenter)) return parseBelow(kind, labels.slice(0, i));
  }
  return { kind: 'unknown' };
}

function isScope(labels: readonly string[], datacenter: string): boolean {
  const local = datacenter.toLowerCase();
  if (labels.length <= 1) return labels.length === 0 || labels[0] === local;
  if (labels.length % 2 === 1) return false;
  return labels.every((label, i) => i % 2 === 1 || isScopePair(label, labels[i + 1], local));
}

function isScopePair(value: string, kind: string | undefined, datacenter: string): boolean {
  return kind === 'dc' ? value === datacenter : (kind === 'ns' || kind === 'ap') && value === 'default';
}

function parseBelow(kind: NameKind, labels: readonly string[]): ZoneName {
  const [first, second] = labels;
  if (first === undefined) return { kind: 'branch' };
  if (kind === 'service') return parseServiceName(labels);
  if (second !== undefined) return { kind: 'unknown' };
  if (kind !== 'addr') return { kind, service: first };
  const address = decodeAddress(first);
  return address === undefined ? { kind: 'unknown' } : { kind: 'address', address };
}

function parseServiceName(labels: readonly string[]): ZoneName {
  const [first = '', second] = labels;
  const service = labels.at(-1) ?? '';
  if (second === undefined) return service.startsWith('_') ? { kind: 'branch' } : { kind: 'service', service };
  if (labels.length === 2 && first.startsWith('_') && second.startsWith('_')) {
    // Any other "protocol" than tcp is a tag, as in Consul.
    return second === '_tcp' ? { kind: 'service', service: first.slice(1) } : { kind: 'service', service: first.slice(1), tag: second.slice(1) };
  }
  return { kind: 'service', service, tag: labels.slice(0, -1).join('.') };
}

/** An IP address as one label: 8 or 32 hexadecimal digits. Throws on anything but an IP address. */
export function encodeAddress(address: string): string {
  return Buffer.from(ipaddr.parse(address).toByteArray()).toString('hex');
}

function decodeAddress(label: string): string | undefined {
  if (!/^([0-9a-f]{8}|[0-9a-f]{32})$/.test(label)) return undefined;
  return ipaddr.fromByteArray([...Buffer.from(label, 'hex')]).toString();
}
