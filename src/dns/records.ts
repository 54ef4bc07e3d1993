import type { Answer, Question } from 'dns-packet';
import ipaddr from 'ipaddr.js';
import type { NamedInstance } from './name-table.ts';
import type { Zone } from './zone.ts';
import { encodeAddress } from './zone-name.ts';

/** Timers of the SOA in seconds, as Consul's: they matter to secondary servers only, of which there are none. */
const SOA_TIMERS = { refresh: 3600, retry: 600, expire: 86400 };

/** `minimum` is how long "there is no such name" may be kept: not at all, a service may appear at any moment. */
export function soaRecord(zone: Zone, name: string): Answer {
  const data = { mname: `ns.${zone.domain}`, rname: `hostmaster.${zone.domain}`, serial: zone.serial, ...SOA_TIMERS, minimum: 0 };
  return { type: 'SOA', name, ttl: zone.serviceTtlS, data };
}

/** A and AAAA records of those addresses that the question asks for; each address once, host names left out. */
export function addressRecords(question: Question, addresses: readonly string[], ttl: number): Answer[] {
  return [...new Set(addresses)].flatMap((address): Answer[] => {
    const type = addressType(address);
    return type && asksFor(question, type) ? [{ type, name: question.name, ttl, data: address }] : [];
  });
}

/** Records of a service's instances: addresses, or SRV with the addresses of its targets beside them. */
export function instanceRecords(question: Question, instances: readonly NamedInstance[], zone: Zone): { answers: Answer[]; additionals: Answer[] } {
  const addresses = instances.map((instance) => instance.address);
  const answers = addressRecords(question, addresses, zone.serviceTtlS);
  if (asksFor(question, 'SRV')) {
    const { records, targets } = serviceRecords(question.name, instances, zone);
    return { answers: [...answers, ...records], additionals: targets };
  }
  const alias = addresses.find((address) => !addressType(address) && isHostName(address));
  const wantsAddress = asksFor(question, 'A') || asksFor(question, 'AAAA') || asksFor(question, 'CNAME');
  // A name with a CNAME has nothing else (RFC 1034, 3.6.2): only when no instance has an address of its own.
  if (alias !== undefined && wantsAddress && !addresses.some(addressType)) {
    return { answers: [{ type: 'CNAME', name: question.name, ttl: zone.serviceTtlS, data: alias }], additionals: [] };
  }
  return { answers, additionals: [] };
}

/** The same list in random order (Fisher-Yates). */
export function shuffled<Item>(items: readonly Item[], random: (() => number) | undefined): readonly Item[] {
  if (!random) return items;
  const list = [...items];
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const moved = list[other] as Item;
    list[other] = list[last] as Item;
    list[last] = moved;
  }
  return list;
}

function serviceRecords(name: string, instances: readonly NamedInstance[], zone: Zone): { records: Answer[]; targets: Answer[] } {
  const records = new Map<string, Answer>();
  const targets = new Map<string, Answer>();
  for (const { address, port, weight } of instances) {
    const type = addressType(address);
    if (!type && !isHostName(address)) continue;
    const target = type ? `${encodeAddress(address)}.addr.${zone.datacenter.toLowerCase()}.${zone.domain}` : address;
    records.set(`${target}:${port}`, { type: 'SRV', name, ttl: zone.serviceTtlS, data: { priority: 1, weight: clampToUint16(weight), port, target } });
    if (type) targets.set(target, { type, name: target, ttl: zone.serviceTtlS, data: address });
  }
  return { records: [...records.values()], targets: [...targets.values()] };
}

function asksFor(question: Question, type: string): boolean {
  return question.type === type || String(question.type) === 'ANY';
}

function addressType(address: string): 'A' | 'AAAA' | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return 'A';
  return ipaddr.IPv6.isValid(address) && !address.includes('%') ? 'AAAA' : undefined;
}

/** What fits into a DNS name; anything else would make a packet that nobody can read. */
function isHostName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label));
}

function clampToUint16(weight: number): number {
  return Math.max(0, Math.min(65_535, Math.round(weight)));
}
