import { isIP } from 'node:net';
import { isUsableVirtualIp, normalAddress } from '../mesh/check/address.ts';
import type { Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import { query } from '../query/query-store.ts';
import { meshInstancesOf } from './mesh-instances.ts';
import type { Topology } from './topology.ts';
import { isVirtualIp } from './virtual-ips.ts';

/** What an instance says of itself: that an address, in its normal form, means its service. */
interface Claim {
  readonly service: string;
  readonly address: string;
  readonly tag: string;
  readonly node: string;
  readonly id: string;
}

/** Whom a claimed address means. */
interface Verdict {
  /** Undefined: nobody who claims it. */
  readonly owner: string | undefined;
  /** Several services claim it with equal right, so that it means none of them and is refused. */
  readonly contested: boolean;
  readonly problems: readonly Problem[];
}

/**
 * The one service that a virtual address means. An address that was handed out belongs to its service, one that is managed outside to the
 * one it is managed for, whatever anybody else says. Tagged addresses come last, because whoever may register one service writes them.
 * @param address in its normal form
 */
export const virtualAddressOwner = query(
  'owner of a virtual address',
  (topology: Topology, address: string): string | undefined => topology.holderOf(address) ?? verdictOn(topology, address)?.owner,
);

/** Addresses that mean nobody, because several services claim them. */
export const contestedAddresses = query('contested addresses', (topology: Topology): readonly string[] =>
  [...allClaims(topology).keys()].filter((address) => verdictOn(topology, address)?.contested),
);

/** Who claims a virtual address that is not its own. */
export const virtualAddressProblems = query('virtual addresses that are taken', (topology: Topology): readonly Problem[] =>
  [...allClaims(topology).keys()].flatMap((address) => verdictOn(topology, address)?.problems ?? []),
);

/** The addresses that a service's instances are tagged with. */
export const taggedAddressesOf = query('tagged addresses', (topology: Topology, service: string): readonly Claim[] =>
  meshInstancesOf(topology, service).flatMap((instance) => {
    const { node, id } = instance;
    const tag = virtualTagOf(service, instance);
    const tagged = instance.taggedAddresses[tag]?.address;
    return tagged === undefined || isIP(tagged) === 0 ? [] : [{ service, address: normalAddress(tagged), tag, node, id }];
  }),
);

/** The tag by which an instance that accepts mutual TLS for a service claims an address for it. */
function virtualTagOf(service: string, { kind }: Instance): string {
  return kind === 'terminating-gateway' ? `consul-virtual:${service}` : 'virtual';
}

/** By address. */
const allClaims = query('tagged addresses of all', (topology: Topology): ReadonlyMap<string, readonly Claim[]> => {
  const claims = new Map<string, Claim[]>();
  for (const service of new Set([...topology.callableServices, ...topology.servicesWithManualVirtualIps])) {
    for (const claim of taggedAddressesOf(topology, service)) claims.set(claim.address, [...(claims.get(claim.address) ?? []), claim]);
  }
  return claims;
});

/** A claimed address must not be of the range of virtual IPs nor that of another service's instance. */
const verdictOn = query('verdict on a claimed address', (topology: Topology, address: string): Verdict | undefined => {
  const claims = allClaims(topology).get(address);
  if (!claims) return undefined;
  const services = [...new Set(claims.map(({ service }) => service))].sort();
  const [only = ''] = services;
  const refusal = (reason: string, those = claims): Verdict => ({
    owner: undefined,
    contested: false,
    problems: those.map((claim) => refused(claim, reason)),
  });
  const holder = topology.holderOf(address);
  if (holder !== undefined) {
    const foreign = claims.filter(({ service }) => service !== holder);
    return refusal(`it belongs to "${holder}"`, foreign);
  }
  if (isVirtualIp(address)) return refusal('addresses from 240.0.0.0 on are handed out, not claimed');
  if (!isUsableVirtualIp(address)) return refusal('such an address cannot stand for a service');
  const [other] = topology.servicesAt(address).filter((service) => service !== only);
  if (other !== undefined) return refusal(`instances of "${other}" are at this address`);
  if (services.length === 1) return { owner: only, contested: false, problems: [] };
  return { ...refusal(`${services.map((name) => `"${name}"`).join(' and ')} claim it, so it means none of them`), contested: true };
});

function refused({ service, address, tag, node, id }: Claim, reason: string): Problem {
  return {
    code: 'virtual-ip-taken',
    severity: 'error',
    message: `"${id}" tags ${address} as a virtual address of "${service}", but ${reason}`,
    about: { node, id, path: ['tagged_addresses', tag] },
    hint: 'tag an address that means this service alone',
  };
}
