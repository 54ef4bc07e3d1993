import { serviceSpiffeIdPattern } from '../mesh/spiffe-id.ts';

/** One segment of a SPIFFE path, whatever it says. */
export const ANY_SEGMENT = '[^/]+';

/** The text as a regex that matches only it. RE2 and JavaScript agree on these escapes. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/**
 * A regex for the identities of services, in any datacenter: Consul's intentions do not look at the caller's datacenter.
 * `service` is a regex of one path segment. Envoy matches whole strings, so no anchors are needed.
 */
export function serviceIdentityRegex(trustDomain: string, service: string): string {
  return serviceSpiffeIdPattern({ trustDomain: escapeRegex(trustDomain), datacenter: ANY_SEGMENT, service });
}
