import { CaError } from './ca-error.ts';

/** What a SPIFFE path segment and a trust domain may hold. Source: SPIFFE-ID, section 2. Anything else could forge another service's path. */
const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/;

/** The identity of a service, as Consul forms it in the default namespace and partition. */
export function spiffeId(trustDomain: string, datacenter: string, service: string): string {
  return `${trustDomainId(trustDomain)}/ns/default/dc/${checked(datacenter)}/svc/${checked(service)}`;
}

/** The identity of a trust domain itself: what its roots carry. */
export function trustDomainId(trustDomain: string): string {
  return `spiffe://${checked(trustDomain)}`;
}

function checked(segment: string): string {
  if (SEGMENT.test(segment)) return segment;
  throw new CaError('ca-bad-name', `${JSON.stringify(segment)} cannot be part of a SPIFFE ID`, { hint: 'letters, digits, ".", "-" and "_" only' });
}
