import type {
  envoy_config_route_v3_HeaderMatcher as HeaderMatcher,
  envoy_config_rbac_v3_Permission as Permission,
  envoy_type_matcher_v3_StringMatcher as StringMatcher,
} from '../proto/generated/types.ts';
import type { AuthorizedPermission } from '../topology/authorization.ts';
import type { JwtCheck } from '../topology/authorization-jwt.ts';
import { buildClaimMatchers, buildIssuerMatcher } from './rbac-principal.ts';
import { escapeRegex } from './spiffe-regex.ts';

type HttpMatch = NonNullable<AuthorizedPermission['http']>;
type HeaderMatch = HttpMatch['header'][number];

/**
 * The permissions whose outcome differs from the default action, each less every permission before it, whatever that one does:
 * then their order no longer matters. A permission hides later ones wherever its `http` matches, token or not.
 */
export function buildPermissions(permissions: readonly AuthorizedPermission[], defaultAction: 'allow' | 'deny'): Permission[] {
  return permissions.flatMap((permission, position) => {
    const matches = buildHttpMatch(permission);
    // A denial of those who hold a token says nothing of the others.
    const earlier = permissions
      .slice(0, position)
      .filter((other) => other.action === 'allow' || other.jwt.length === 0)
      .reverse();
    const first = allPermissions([matches, ...earlier.map((other): Permission => ({ not_rule: buildHttpMatch(other) }))]);
    if (permission.jwt.length === 0) return permission.action === defaultAction ? [] : [first];
    const token = buildToken(permission.jwt);
    const denying = defaultAction === 'allow' && permission.action === 'allow';
    return [allPermissions([first, denying ? { not_rule: token } : token])];
  });
}

function buildHttpMatch({ http, action }: AuthorizedPermission): Permission {
  if (!http) return { any: true };
  return allPermissions([
    ...pathMatches(http),
    ...http.header.map((header): Permission => ({ header: buildHeaderMatcher(header, action) })),
    ...(http.methods.length > 0 ? [{ header: { name: ':method', string_match: { safe_regex: { regex: http.methods.join('|').toUpperCase() } } } }] : []),
  ]);
}

/** Matched without query and fragment, against the path as the connection manager has normalized it. */
function pathMatches(http: HttpMatch): Permission[] {
  const path: StringMatcher | undefined = http.path_exact
    ? { exact: http.path_exact }
    : http.path_prefix
      ? { prefix: http.path_prefix }
      : http.path_regex
        ? { safe_regex: { regex: http.path_regex } }
        : undefined;
  return path ? [{ url_path: { path } }] : [];
}

/**
 * Envoy does not match a header that is missing, inverted or not: `deny unless x-key is secret` would let requests without x-key in. A header that is
 * sent twice it compares as one text, `no,yes`: what denies a value denies it wherever it stands in such a list, and what allows all but a value does
 * not allow a list with it.
 */
function buildHeaderMatcher(header: HeaderMatch, action: AuthorizedPermission['action']): HeaderMatcher {
  const inAnyPlace = (action === 'deny') !== (header.invert ?? false);
  const text = inAnyPlace ? anywhereInList(header) : headerText(header);
  return {
    name: header.name,
    ...(text ? { string_match: text } : { present_match: true }),
    ...(header.invert && { invert_match: true }),
    ...(text && header.invert && action === 'deny' && { treat_missing_header_as_empty: true }),
  };
}

function headerText(header: HeaderMatch): StringMatcher | undefined {
  const ignoreCase = header.ignore_case ? { ignore_case: true } : {};
  if (header.exact) return { exact: header.exact, ...ignoreCase };
  if (header.regex) return { safe_regex: { regex: header.regex } };
  if (header.prefix) return { prefix: header.prefix, ...ignoreCase };
  if (header.suffix) return { suffix: header.suffix, ...ignoreCase };
  if (header.contains) return { contains: header.contains, ...ignoreCase };
  return undefined;
}

/** A value of the list that a repeated header is. `present` and `contains` hold for lists as they are. */
function anywhereInList(header: HeaderMatch): StringMatcher | undefined {
  const flags = header.ignore_case ? '(?i)' : '';
  const inList = (value: string): StringMatcher => ({ safe_regex: { regex: `${flags}(?:.*,)?[ \\t]*${value}[ \\t]*(?:,.*)?` } });
  if (header.exact) return inList(escapeRegex(header.exact));
  if (header.prefix && !header.regex) return inList(`${escapeRegex(header.prefix)}.*`);
  if (header.suffix && !header.regex) return inList(`.*${escapeRegex(header.suffix)}`);
  // Whole values, so that anchors say nothing more. Its own flags hold for all of it.
  if (header.regex && !/^\(\?[a-zA-Z-]+\)/.test(header.regex)) return inList(`(?:${header.regex.replace(/^\^/, '').replace(/(?<!\\)\$$/, '')})`);
  return headerText(header);
}

function buildToken(checks: readonly JwtCheck[]): Permission {
  const alternatives = checks.map((check) => {
    const claims = buildClaimMatchers(check).map((metadata): Permission => ({ metadata }));
    return allPermissions([{ metadata: buildIssuerMatcher(check) }, allPermissions(claims)]);
  });
  const [only, ...others] = alternatives;
  return only && others.length === 0 ? only : { or_rules: { rules: alternatives } };
}

function allPermissions(rules: readonly Permission[]): Permission {
  const [only, ...others] = rules;
  if (!only) return { any: true };
  return others.length === 0 ? only : { and_rules: { rules } };
}
