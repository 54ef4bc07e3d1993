import type { LoadBalancer } from '../mesh/schema/service-resolver.ts';
import type { envoy_config_route_v3_RouteAction_HashPolicy as HashPolicy } from '../proto/generated/types.ts';
import { isHashBased } from '../topology/discovery-chain/chain.ts';
import { envoyDuration } from './duration.ts';

type Policy = LoadBalancer['hash_policies'][number];

/** What a request's hash is made of, for load balancers that go by one; empty for all others. */
export function buildHashPolicies(loadBalancer: LoadBalancer | undefined): HashPolicy[] {
  if (!isHashBased(loadBalancer)) return [];
  return loadBalancer.hash_policies.flatMap((policy) => {
    const source = hashSource(policy);
    return source ? [{ ...source, ...(policy.terminal && { terminal: true }) }] : [];
  });
}

function hashSource({ source_ip, field, field_value, cookie_config: cookie }: Policy): HashPolicy | undefined {
  if (source_ip) return { connection_properties: { source_ip: true } };
  const name = field_value ?? '';
  switch (field) {
    case 'header':
      return { header: { header_name: name } };
    case 'query_parameter':
      return { query_parameter: { name } };
    case 'cookie':
      return { cookie: { name, ...(cookie?.path && { path: cookie.path }), ...cookieLifetime(cookie) } };
    default:
      return undefined;
  }
}

/** With a lifetime Envoy makes the cookie where it is missing; a lifetime of zero makes it a session cookie. */
function cookieLifetime(cookie: Policy['cookie_config']): { ttl?: string } {
  if (cookie?.session) return { ttl: '0s' };
  return cookie?.ttl ? { ttl: envoyDuration(cookie.ttl) } : {};
}
