import { serviceSpiffeIdPattern } from '../mesh/spiffe-id.ts';
import type { envoy_type_matcher_v3_MetadataMatcher as MetadataMatcher, envoy_config_rbac_v3_Principal as Principal } from '../proto/generated/types.ts';
import type { JwtCheck } from '../topology/authorization-jwt.ts';
import { ANY_SERVICE } from '../topology/intentions.ts';
import { JWT_AUTHN_FILTER, jwtPayloadKey } from './jwt-authn.ts';
import { ANY_SEGMENT, escapeRegex } from './spiffe-regex.ts';

/** A service, or any (`*`), except the given ones. */
export function buildCallerPrincipal(name: string, except: readonly string[], trustDomain: string): Principal {
  return allPrincipals([buildServicePrincipal(name, trustDomain), ...except.map((other) => noPrincipal(buildServicePrincipal(other, trustDomain)))]);
}

/** A request with a verified token that passes one of the checks. */
export function buildTokenPrincipal(checks: readonly JwtCheck[]): Principal {
  const alternatives = checks.map((check) => {
    const issuer: Principal = { metadata: buildIssuerMatcher(check) };
    const claims = buildClaimMatchers(check).map((metadata): Principal => ({ metadata }));
    return claims.length > 0 ? allPrincipals([issuer, allPrincipals(claims)]) : issuer;
  });
  const [only, ...others] = alternatives;
  return only && others.length === 0 ? only : { or_ids: { ids: alternatives } };
}

export function allPrincipals(ids: readonly Principal[]): Principal {
  const [only, ...others] = ids;
  return only && others.length === 0 ? only : { and_ids: { ids } };
}

export function noPrincipal(id: Principal): Principal {
  return { not_id: id };
}

/** The JWT filter stores the payload of a token that it verified, so a matching issuer means a valid token of that provider. */
export function buildIssuerMatcher(check: JwtCheck): MetadataMatcher {
  return payloadMatcher(check.provider, ['iss'], check.issuer);
}

export function buildClaimMatchers(check: JwtCheck): MetadataMatcher[] {
  return check.claims.map(({ path, value }) => payloadMatcher(check.provider, path, value));
}

function payloadMatcher(provider: string, path: readonly string[], value: string): MetadataMatcher {
  return {
    filter: JWT_AUTHN_FILTER,
    path: [jwtPayloadKey(provider), ...path].map((key) => ({ key })),
    value: { string_match: { exact: value } },
  };
}

function buildServicePrincipal(name: string, trustDomain: string): Principal {
  // Consul does not escape the dots of the trust domain. Our CA issues for one domain only, so no other can take their place.
  const service = name === ANY_SERVICE ? ANY_SEGMENT : escapeRegex(name);
  const regex = `^${serviceSpiffeIdPattern({ trustDomain, datacenter: ANY_SEGMENT, service })}$`;
  return { authenticated: { principal_name: { safe_regex: { regex } } } };
}
