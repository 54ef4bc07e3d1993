/**
 * SPIFFE IDs, formed exactly as Consul forms them. Every ID, and every pattern for IDs, of the project is formed here: two places that
 * form identities would be two notions of who somebody is. The community edition has one namespace, `default`.
 */

/** Where a service lives, and under whose roots. */
export interface Realm {
  readonly datacenter: string;
  readonly trustDomain: string;
}

/** `spiffe://<trust domain>/ns/default/dc/<datacenter>/svc/<service>`: the one URI in a service's leaf certificate. */
export function serviceSpiffeId(service: string, { datacenter, trustDomain }: Realm): string {
  // The one name with a character that a URI escapes is `*`, which a terminating gateway may stand for.
  return serviceSpiffeIdPattern({ trustDomain, datacenter, service: service.replaceAll('*', '%2A') });
}

/** The identity of a trust domain itself: what its roots carry. */
export function trustDomainSpiffeId(trustDomain: string): string {
  return `spiffe://${trustDomain}`;
}

/** A regex for the identities of services: each part is a regex. Not anchored. */
export function serviceSpiffeIdPattern(parts: Realm & { readonly service: string }): string {
  return `${trustDomainSpiffeId(parts.trustDomain)}/ns/default/dc/${parts.datacenter}/svc/${parts.service}`;
}

/** What a SPIFFE path segment and a trust domain may hold. Source: SPIFFE-ID, section 2. Anything else could forge another service's path. */
const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/;

export function isSpiffeSegment(text: string): boolean {
  return SEGMENT.test(text);
}
