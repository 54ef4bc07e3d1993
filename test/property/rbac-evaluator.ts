import type {
  envoy_config_route_v3_HeaderMatcher as HeaderMatcher,
  envoy_type_matcher_v3_MetadataMatcher as MetadataMatcher,
  envoy_config_rbac_v3_Permission as Permission,
  envoy_config_rbac_v3_Principal as Principal,
  envoy_config_rbac_v3_RBAC as Rbac,
  envoy_type_matcher_v3_StringMatcher as StringMatcher,
} from '../../src/proto/generated/types.ts';

/** One request as Envoy's RBAC filter sees it. */
export interface Request {
  /** The URI SAN of the caller. */
  readonly identity: string;
  /** Without the query. */
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Payloads of verified tokens, by the key the JWT filter stores them under. */
  readonly tokens: Readonly<Record<string, unknown>>;
}

/** Envoy's RBAC, as far as we use it: true when the request passes. Source: Envoy's documentation of the RBAC filter and its matchers. */
export function rbacAllows(rules: Rbac, request: Request): boolean {
  const matched = Object.values(rules.policies ?? {}).some(
    ({ permissions = [], principals = [] }) => permissions.some((p) => permissionMatches(p, request)) && principals.some((p) => principalMatches(p, request)),
  );
  return rules.action === 'DENY' ? !matched : matched;
}

export function textMatches(matcher: StringMatcher, text: string): boolean {
  if (matcher.safe_regex) return fullMatch(matcher.safe_regex.regex ?? '', text);
  const fold = (value: string) => (matcher.ignore_case ? value.toLowerCase() : value);
  const value = fold(text);
  if (matcher.exact !== undefined) return value === fold(matcher.exact);
  if (matcher.prefix !== undefined) return value.startsWith(fold(matcher.prefix));
  if (matcher.suffix !== undefined) return value.endsWith(fold(matcher.suffix));
  if (matcher.contains !== undefined) return value.includes(fold(matcher.contains));
  throw new Error(`not evaluated: ${JSON.stringify(matcher)}`);
}

export function fullMatch(regex: string, text: string): boolean {
  const [, flags = '', pattern = ''] = /^(?:\(\?([a-z]+)\))?(.*)$/s.exec(regex) ?? [];
  return new RegExp(`^(?:${pattern})$`, flags).test(text);
}

function principalMatches(principal: Principal, request: Request): boolean {
  if (principal.any) return true;
  if (principal.and_ids) return (principal.and_ids.ids ?? []).every((id) => principalMatches(id, request));
  if (principal.or_ids) return (principal.or_ids.ids ?? []).some((id) => principalMatches(id, request));
  if (principal.not_id) return !principalMatches(principal.not_id, request);
  if (principal.metadata) return metadataMatches(principal.metadata, request);
  if (principal.authenticated?.principal_name) return textMatches(principal.authenticated.principal_name, request.identity);
  throw new Error(`not evaluated: ${JSON.stringify(principal)}`);
}

function permissionMatches(permission: Permission, request: Request): boolean {
  if (permission.any) return true;
  if (permission.and_rules) return (permission.and_rules.rules ?? []).every((rule) => permissionMatches(rule, request));
  if (permission.or_rules) return (permission.or_rules.rules ?? []).some((rule) => permissionMatches(rule, request));
  if (permission.not_rule) return !permissionMatches(permission.not_rule, request);
  if (permission.metadata) return metadataMatches(permission.metadata, request);
  if (permission.url_path?.path) return textMatches(permission.url_path.path, request.path);
  if (permission.header) return headerMatches(permission.header, request);
  throw new Error(`not evaluated: ${JSON.stringify(permission)}`);
}

/** An absent header matches nothing, and inverted still nothing, except for presence; or it is taken for an empty one. */
function headerMatches(matcher: HeaderMatcher, { method, headers }: Request): boolean {
  const sent = matcher.name === ':method' ? method : headers[(matcher.name ?? '').toLowerCase()];
  const value = sent ?? (matcher.treat_missing_header_as_empty ? '' : undefined);
  const invert = matcher.invert_match ?? false;
  if (matcher.present_match) return (value !== undefined) !== invert;
  if (value === undefined || !matcher.string_match) return false;
  return textMatches(matcher.string_match, value) !== invert;
}

function metadataMatches(matcher: MetadataMatcher, { tokens }: Request): boolean {
  let value: unknown = tokens;
  for (const { key } of matcher.path ?? []) value = typeof value === 'object' && value !== null ? Reflect.get(value, key ?? '') : undefined;
  return typeof value === 'string' && matcher.value?.string_match !== undefined && textMatches(matcher.value.string_match, value);
}
