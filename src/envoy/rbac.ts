import type {
  envoy_config_listener_v3_Filter as Filter,
  envoy_extensions_filters_network_http_connection_manager_v3_HttpFilter as HttpFilter,
  envoy_config_rbac_v3_Policy as Policy,
  envoy_config_rbac_v3_Principal as Principal,
  envoy_config_rbac_v3_RBAC as Rbac,
} from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { Authorization, AuthorizedSource } from '../topology/authorization.ts';
import { ANY_SERVICE } from '../topology/intentions.ts';
import { buildPermissions } from './rbac-permission.ts';
import { allPrincipals, buildCallerPrincipal, buildTokenPrincipal, noPrincipal } from './rbac-principal.ts';

/**
 * Envoy's RBAC says either what is allowed or what is denied, in any order; intentions are a list in which the first match decides.
 * So only what differs from the default action is written, each less what comes before it. Names and shape are Consul's,
 * because dashboards and operators know them.
 */

/** Authorizes connections of a TCP service. It decides on the first byte from the caller; see `caller-sans.ts` for before that. */
export function buildNetworkRbac(authorization: Authorization, trustDomain: string): Filter {
  const rules = buildRules(authorization, trustDomain);
  return { name: 'envoy.filters.network.rbac', typed_config: typed('envoy.extensions.filters.network.rbac.v3.RBAC', { stat_prefix: 'connect_authz', rules }) };
}

/** Authorizes the requests to an HTTP service. */
export function buildHttpRbac(authorization: Authorization, trustDomain: string): HttpFilter {
  return {
    name: 'envoy.filters.http.rbac',
    typed_config: typed('envoy.extensions.filters.http.rbac.v3.RBAC', { rules: buildRules(authorization, trustDomain) }),
  };
}

function buildRules(authorization: Authorization, trustDomain: string): Rbac {
  const { defaultAction } = authorization;
  const policies: Record<string, Policy> = {};
  const layer4: Principal[] = [];
  const unproven: Principal[] = [];
  let kept = 0;
  for (const source of authorization.sources) {
    const caller = buildCallerPrincipal(source.name, hidingFrom(source, authorization), trustDomain);
    // Under default allow a token is only asked for if whoever has none is denied.
    if (defaultAction === 'allow' && source.action !== 'deny' && source.jwt.length > 0) {
      unproven.push(allPrincipals([caller, noPrincipal(buildTokenPrincipal(source.jwt))]));
    }
    const permissions = source.action === 'l7' ? buildPermissions(source.permissions, defaultAction) : [];
    if (source.action === defaultAction || (source.action === 'l7' && permissions.length === 0)) continue;
    const principal = defaultAction === 'deny' && source.jwt.length > 0 ? allPrincipals([caller, buildTokenPrincipal(source.jwt)]) : caller;
    if (source.action === 'l7') policies[`consul-intentions-layer7-${kept}`] = { permissions, principals: [principal] };
    else layer4.push(principal);
    kept += 1;
  }
  if (layer4.length > 0) policies['consul-intentions-layer4'] = { permissions: [{ any: true }], principals: layer4 };
  if (unproven.length > 0) policies['token-required'] = { permissions: [{ any: true }], principals: unproven };
  return {
    ...(defaultAction === 'allow' && { action: 'DENY' as const }),
    ...(Object.keys(policies).length > 0 && { policies }),
  };
}

/** Callers that a source does not speak for although it matches them: those with an intention of their own. */
function hidingFrom(source: AuthorizedSource, { sources }: Authorization): string[] {
  return source.name === ANY_SERVICE ? sources.map(({ name }) => name).filter((name) => name !== ANY_SERVICE) : [];
}
