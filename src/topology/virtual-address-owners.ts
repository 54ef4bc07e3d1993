import { isIP } from 'node:net';
import { isUsableVirtualIp, normalAddress } from '../mesh/check/address.ts';
import { type Instance, reachableAddress } from '../mesh/instance.ts';
import type { Mesh } from '../mesh/mesh.ts';
import { type Problem, placeWithin } from '../mesh/problem.ts';
import { isVirtualIp } from './virtual-ips.ts';

/** Whom each virtual address of a mesh means, and who claims one in vain. */
export interface VirtualAddressOwners {
  /** Address → service; undefined where several claim it. */
  readonly owners: ReadonlyMap<string, string | undefined>;
  readonly problems: readonly Problem[];
}

/** What an instance says of itself: that an address means its service. */
interface Claim {
  readonly service: string;
  readonly address: string;
  readonly tag: string;
  readonly instance: Instance;
}

/** The tags by which an instance that accepts mutual TLS for a service claims addresses for it. */
export function virtualTagOf(service: string, instance: Instance): string {
  return instance.kind === 'terminating-gateway' ? `consul-virtual:${service}` : 'virtual';
}

/**
 * An address that was handed out belongs to its service, one that is managed outside to the one it is managed for, whatever anybody
 * else says. Tagged addresses come last, because whoever may register one service writes them: such an address must not be of the range
 * of virtual IPs nor that of another service's instance, and where two services claim one it means nobody and is refused.
 */
export function resolveVirtualAddressOwners(
  mesh: Mesh,
  virtualIps: ReadonlyMap<string, string>,
  services: Iterable<string>,
  meshInstancesOf: (service: string) => readonly Instance[],
): VirtualAddressOwners {
  const owners = new Map<string, string | undefined>();
  for (const [service, address] of virtualIps) owners.set(normalAddress(address), service);
  for (const [service, addresses] of mesh.manualVirtualIps)
    for (const address of addresses) if (!owners.has(normalAddress(address))) owners.set(normalAddress(address), service);
  const claims = groupClaims(services, meshInstancesOf);
  const problems: Problem[] = [];
  const servicesAt = claims.size > 0 ? servicesByAddress(mesh.instances) : new Map<string, ReadonlySet<string>>();
  for (const [address, ofAddress] of claims) {
    const claimants = [...new Set(ofAddress.map(({ service }) => service))].sort();
    const owner = owners.get(address);
    const refuse = (reason: string, those = ofAddress) => problems.push(...those.map((claim) => refused(claim, reason)));
    const others = (service: string) => [...(servicesAt.get(address) ?? [])].filter((one) => one !== service);
    const [only = ''] = claimants;
    if (owner !== undefined) {
      const foreign = ofAddress.filter(({ service }) => service !== owner);
      refuse(`it belongs to "${owner}"`, foreign);
    } else if (isVirtualIp(address)) refuse('addresses from 240.0.0.0 on are handed out, not claimed');
    else if (!isUsableVirtualIp(address)) refuse('such an address cannot stand for a service');
    else if (others(only).length > 0) refuse(`instances of "${others(only)[0]}" are at this address`);
    else if (claimants.length > 1) {
      refuse(`${claimants.map((name) => `"${name}"`).join(' and ')} claim it, so it means none of them`);
      owners.set(address, undefined);
    } else owners.set(address, only);
  }
  return { owners, problems };
}

function groupClaims(services: Iterable<string>, meshInstancesOf: (service: string) => readonly Instance[]): Map<string, Claim[]> {
  const claims = new Map<string, Claim[]>();
  for (const service of services) {
    for (const instance of meshInstancesOf(service)) {
      const tag = virtualTagOf(service, instance);
      const tagged = instance.taggedAddresses[tag]?.address;
      if (tagged === undefined || isIP(tagged) === 0) continue;
      const address = normalAddress(tagged);
      const claim = { service, address, tag, instance };
      const same = claims.get(address);
      if (same) same.push(claim);
      else claims.set(address, [claim]);
    }
  }
  return claims;
}

function servicesByAddress(instances: readonly Instance[]): Map<string, ReadonlySet<string>> {
  const services = new Map<string, Set<string>>();
  for (const instance of instances) {
    const address = reachableAddress(instance);
    if (isIP(address) === 0) continue;
    const key = normalAddress(address);
    const service = instance.proxy?.destination_service_name || instance.service;
    const known = services.get(key);
    if (known) known.add(service);
    else services.set(key, new Set([service]));
  }
  return services;
}

function refused({ service, address, tag, instance }: Claim, reason: string): Problem {
  const place = placeWithin(instance.place, ['tagged_addresses', tag]);
  return {
    code: 'virtual-ip-taken',
    severity: 'error',
    message: `"${instance.id}" tags ${address} as a virtual address of "${service}", but ${reason}`,
    ...(place ? { place } : {}),
    hint: 'tag an address that means this service alone',
  };
}
