import type {
  envoy_config_route_v3_HeaderMatcher as HeaderMatcher,
  envoy_config_route_v3_QueryParameterMatcher as QueryParameterMatcher,
  envoy_config_route_v3_RouteMatch as RouteMatch,
  envoy_type_matcher_v3_StringMatcher as StringMatcher,
} from '../proto/generated/types.ts';
import type { ChainRoute } from '../topology/discovery-chain/chain.ts';

type HttpMatch = NonNullable<NonNullable<ChainRoute['match']>['http']>;

export const EVERY_REQUEST: RouteMatch = { prefix: '/' };

/** Which requests a route of a service-router takes. Without any condition: all. */
export function buildRouteMatch(match: ChainRoute['match']): RouteMatch {
  const http = match?.http;
  if (!http) return EVERY_REQUEST;
  const headers = [...http.header.flatMap(headerMatcher), ...methodMatcher(http.methods)];
  const queryParameters = http.query_param.flatMap(queryParameterMatcher);
  return {
    ...pathMatch(http),
    ...(http.case_insensitive && { case_sensitive: false }),
    ...(headers.length > 0 && { headers }),
    ...(queryParameters.length > 0 && { query_parameters: queryParameters }),
  };
}

function pathMatch({ path_exact, path_prefix, path_regex }: HttpMatch): RouteMatch {
  if (path_exact) return { path: path_exact };
  if (path_prefix) return { prefix: path_prefix };
  return path_regex ? { safe_regex: { regex: path_regex } } : EVERY_REQUEST;
}

function headerMatcher({ name, exact, regex, prefix, suffix, present, invert }: HttpMatch['header'][number]): HeaderMatcher[] {
  const value = stringMatcher({ exact, regex, prefix, suffix });
  if (!value && !present) return [];
  return [{ name, ...(value ? { string_match: value } : { present_match: true }), ...(invert && { invert_match: true }) }];
}

function queryParameterMatcher({ name, exact, regex, present }: HttpMatch['query_param'][number]): QueryParameterMatcher[] {
  const value = stringMatcher({ exact, regex });
  if (value) return [{ name, string_match: value }];
  return present ? [{ name, present_match: true }] : [];
}

type StringCondition = { readonly [Way in 'exact' | 'regex' | 'prefix' | 'suffix']?: string | undefined };

function stringMatcher({ exact, regex, prefix, suffix }: StringCondition): StringMatcher | undefined {
  if (exact) return { exact };
  if (regex) return { safe_regex: { regex } };
  if (prefix) return { prefix };
  return suffix ? { suffix } : undefined;
}

/** Methods are one expression over the pseudo-header, in upper case however they are written, as in Consul. */
function methodMatcher(methods: readonly string[]): HeaderMatcher[] {
  return methods.length > 0 ? [{ name: ':method', string_match: { safe_regex: { regex: methods.join('|').toUpperCase() } } }] : [];
}
