import type {
  envoy_config_route_v3_HeaderMatcher as HeaderMatcher,
  envoy_config_core_v3_HeaderValueOption as HeaderValueOption,
  envoy_config_route_v3_QueryParameterMatcher as QueryParameterMatcher,
  envoy_config_route_v3_Route as Route,
  envoy_config_route_v3_RouteAction as RouteAction,
  envoy_config_route_v3_RouteConfiguration as RouteConfiguration,
  envoy_config_route_v3_RouteMatch as RouteMatch,
  envoy_type_matcher_v3_StringMatcher as StringMatcher,
  envoy_config_route_v3_VirtualHost as VirtualHost,
} from '../../src/proto/generated/types.ts';
import { fullRegex, type HttpRequest, queryOf, withoutQuery } from './request.ts';

/** A cluster and the part of the requests it gets. */
export interface Share {
  readonly cluster: string;
  /** Percent, in steps of 0.01. */
  readonly percent: number;
  /** What the route makes of the request on the way there. */
  readonly request: HttpRequest;
}

/** Where a route configuration sends a request; empty where no route matches (404). */
export function routeRequest(config: RouteConfiguration, request: HttpRequest): Share[] {
  const host = chooseVirtualHost(config, request.host);
  const route = host?.routes?.find(({ match }) => match && routeMatches(match, request));
  if (!route?.route) return [];
  const rewritten = { ...request, path: rewrittenPath(route.route, route.match ?? {}, request.path) };
  return sharesOf(route.route).map(({ cluster, percent, changes }) => ({
    cluster,
    percent,
    request: changeHeaders(changeHeaders(changeHeaders(rewritten, changes), route), config),
  }));
}

/** An exact domain wins, then the longest wildcard, then `*`. */
function chooseVirtualHost({ virtual_hosts: hosts = [] }: RouteConfiguration, host: string): VirtualHost | undefined {
  const fit = (domain: string): number => {
    if (domain === host) return Number.MAX_SAFE_INTEGER;
    if (domain === '*') return 0;
    return domain.startsWith('*') && host.endsWith(domain.slice(1)) ? domain.length : -1;
  };
  const fits = hosts.map(({ domains = [] }) => Math.max(-1, ...domains.map(fit)));
  const best = Math.max(-1, ...fits);
  return best < 0 ? undefined : hosts[fits.indexOf(best)];
}

function routeMatches(match: RouteMatch, request: HttpRequest): boolean {
  return (
    pathMatches(match, withoutQuery(request.path)) &&
    (match.headers ?? []).every((header) => headerMatches(header, request)) &&
    (match.query_parameters ?? []).every((parameter) => parameterMatches(parameter, queryOf(request.path)))
  );
}

function pathMatches({ prefix, path, safe_regex, case_sensitive }: RouteMatch, requested: string): boolean {
  const fold = (text: string) => (case_sensitive === false ? text.toLowerCase() : text);
  if (path !== undefined) return fold(requested) === fold(path);
  if (prefix !== undefined) return fold(requested).startsWith(fold(prefix));
  return fullRegex(safe_regex?.regex ?? '').test(requested);
}

/** A header that is missing does not match, inverted or not, unless its presence is what is asked for. */
function headerMatches({ name = '', string_match, present_match, invert_match = false }: HeaderMatcher, { method, headers }: HttpRequest): boolean {
  const value = name === ':method' ? method : headers[name.toLowerCase()];
  if (present_match) return (value !== undefined) !== invert_match;
  return value !== undefined && textMatches(string_match ?? {}, value) !== invert_match;
}

function parameterMatches({ name = '', string_match, present_match }: QueryParameterMatcher, query: URLSearchParams): boolean {
  const value = query.get(name);
  return value !== null && (present_match === true || textMatches(string_match ?? {}, value));
}

function textMatches({ exact, prefix, suffix, contains, safe_regex, ignore_case }: StringMatcher, text: string): boolean {
  const fold = (value: string) => (ignore_case ? value.toLowerCase() : value);
  if (exact !== undefined) return fold(text) === fold(exact);
  if (prefix !== undefined) return fold(text).startsWith(fold(prefix));
  if (suffix !== undefined) return fold(text).endsWith(fold(suffix));
  if (contains !== undefined) return fold(text).includes(fold(contains));
  return fullRegex(safe_regex?.regex ?? '').test(text);
}

function rewrittenPath({ prefix_rewrite, regex_rewrite }: RouteAction, match: RouteMatch, path: string): string {
  const bare = withoutQuery(path);
  const query = path.slice(bare.length);
  if (prefix_rewrite) return `${prefix_rewrite}${bare.slice((match.path ?? match.prefix ?? '').length)}${query}`;
  if (!regex_rewrite) return path;
  const [, flags = '', pattern = ''] = /^(?:\(\?([a-z]+)\))?(.*)$/s.exec(regex_rewrite.pattern?.regex ?? '') ?? [];
  const substitution = (regex_rewrite.substitution ?? '').replaceAll('$', '$$$$').replace(/\\(\d)/g, '$$$1');
  return `${bare.replace(new RegExp(pattern, `${flags}g`), substitution)}${query}`;
}

type HeaderChanges = Pick<Route, 'request_headers_to_add' | 'request_headers_to_remove'>;

function sharesOf(action: RouteAction): { cluster: string; percent: number; changes: HeaderChanges }[] {
  if (action.cluster) return [{ cluster: action.cluster, percent: 100, changes: {} }];
  const clusters = (action.weighted_clusters?.clusters ?? []).filter(({ weight }) => weight);
  const total = clusters.reduce((sum, { weight = 0 }) => sum + weight, 0);
  return clusters.map(({ name = '', weight = 0, ...changes }) => ({ cluster: name, percent: Math.round((weight / total) * 10_000) / 100, changes }));
}

/** Removed first, then added: Envoy's order. */
function changeHeaders(request: HttpRequest, { request_headers_to_add: added = [], request_headers_to_remove: removed = [] }: HeaderChanges): HttpRequest {
  const gone = new Set(removed.map((name) => name.toLowerCase()));
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !gone.has(name)));
  for (const option of added) {
    const name = option.header?.key?.toLowerCase() ?? '';
    headers[name] = changedHeader(option, headers[name]);
  }
  return { ...request, headers };
}

function changedHeader({ header, append_action }: HeaderValueOption, present: string | undefined): string {
  const value = header?.value ?? '';
  return append_action === 'OVERWRITE_IF_EXISTS_OR_ADD' || present === undefined ? value : `${present},${value}`;
}
