import { isSpiffeSegment, type Realm, serviceSpiffeId, trustDomainSpiffeId } from '../mesh/spiffe-id.ts';
import { CaError } from './ca-error.ts';

/** The identity a leaf of the service may carry. @throws CaError `ca-bad-name` where it could be taken for another's */
export function issuableSpiffeId(service: string, { trustDomain, datacenter }: Realm): string {
  return serviceSpiffeId(checked(service), { trustDomain: checked(trustDomain), datacenter: checked(datacenter) });
}

/** The identity a root may carry. @throws CaError `ca-bad-name` */
export function issuableTrustDomainId(trustDomain: string): string {
  return trustDomainSpiffeId(checked(trustDomain));
}

function checked(segment: string): string {
  if (isSpiffeSegment(segment)) return segment;
  throw new CaError('ca-bad-name', `${JSON.stringify(segment)} cannot be part of a SPIFFE ID`, { hint: 'letters, digits, ".", "-" and "_" only' });
}
