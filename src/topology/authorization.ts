import { regexFault } from '../mesh/check/regex.ts';
import type { Problem } from '../mesh/problem.ts';
import type { EntryOfKind } from '../mesh/schema/config-entry.ts';
import { type JwtCheck, type JwtProvider, resolveJwtChecks } from './authorization-jwt.ts';
import { ANY_SERVICE, type Intention, type Intentions } from './intentions.ts';

type IntentionPermission = Intention['permissions'][number];

/** Who may call one service, resolved: nothing is left to look up, and what could not be resolved denies. */
export interface Authorization {
  readonly defaultAction: 'allow' | 'deny';
  /** Exact callers, then the wildcard if there is one. No caller is named twice; a named caller is never subject to the wildcard. */
  readonly sources: readonly AuthorizedSource[];
  /** Every JWT provider that a source or permission checks against, each once. */
  readonly jwtProviders: readonly JwtProvider[];
  readonly problems: readonly Problem[];
}

export interface AuthorizedSource {
  /** A service, or `*` for all that are not named. */
  readonly name: string;
  readonly action: 'allow' | 'deny' | 'l7';
  /** Non-empty exactly for `l7`. The first whose `http` matches decides; none: the default action. */
  readonly permissions: readonly AuthorizedPermission[];
  /** One of these must hold for anything to be allowed. Empty: no token is asked for. */
  readonly jwt: readonly JwtCheck[];
}

export interface AuthorizedPermission {
  readonly action: 'allow' | 'deny';
  /** Undefined: every request. */
  readonly http: IntentionPermission['http'];
  /** `allow`: one of these must hold besides, or the request is denied. `deny`, under default allow only: it denies where one of these holds. */
  readonly jwt: readonly JwtCheck[];
}

export interface AuthorizationInput {
  /** Effective protocol of the destination: `tcp`, `http`, `http2` or `grpc`. */
  readonly protocol: string;
  readonly jwtProviders: ReadonlyMap<string, EntryOfKind<'jwt-provider'>>;
}

/**
 * Resolves who may call `destination`.
 *
 * Whatever cannot be enforced denies, with a problem that says so: permissions and tokens on a service whose protocol is not HTTP,
 * a JWT provider that does not exist or has no keys, a regular expression that Envoy would refuse together with its whole listener.
 */
export function resolveAuthorization(index: Intentions, destination: string, input: AuthorizationInput): Authorization {
  const problems: Problem[] = [];
  const used = new Map<string, JwtProvider>();
  const sources = index.intentionsFor(destination).map((intention) => {
    const resolved = input.protocol === 'tcp' ? resolveForTcp(intention, destination) : resolveForHttp(intention, index.defaultPolicy, input);
    problems.push(...resolved.problems);
    for (const provider of resolved.jwtProviders) used.set(provider.name, provider);
    return resolved.source;
  });
  return { defaultAction: index.defaultPolicy, sources, jwtProviders: [...used.values()], problems };
}

/**
 * Does any permission look at paths? Then requests must reach RBAC in one form: a path that the application takes for another one
 * than RBAC would otherwise get around them.
 */
export function looksAtPaths({ sources }: Authorization): boolean {
  return sources.some(({ permissions }) => permissions.some(({ http }) => http?.path_exact || http?.path_prefix || http?.path_regex));
}

interface ResolvedSource {
  readonly source: AuthorizedSource;
  readonly jwtProviders: readonly JwtProvider[];
  readonly problems: readonly Problem[];
}

function resolveForTcp(intention: Intention, destination: string): ResolvedSource {
  const needsRequests = intention.action === 'l7' || (intention.action === 'allow' && intention.jwt !== undefined);
  const source: AuthorizedSource = {
    name: intention.source,
    action: intention.action === 'allow' && !needsRequests ? 'allow' : 'deny',
    permissions: [],
    jwt: [],
  };
  if (!needsRequests) return { source, jwtProviders: [], problems: [] };
  const what = intention.action === 'l7' ? 'permissions look' : 'a JWT looks';
  const problem = problemOf(
    intention,
    'intention-needs-http',
    `${callerName(intention)} is denied: its ${what} at requests, but the protocol of ${destination} is tcp`,
    `set protocol http in service-defaults/${destination}, or use an action`,
  );
  return { source, jwtProviders: [], problems: [problem] };
}

function resolveForHttp(intention: Intention, defaultPolicy: 'allow' | 'deny', { jwtProviders }: AuthorizationInput): ResolvedSource {
  const top = resolveJwtChecks(intention.jwt, jwtProviders);
  const permissions = intention.permissions.map((permission) => ({ permission, resolved: resolveJwtChecks(permission.jwt, jwtProviders) }));
  const jwtDefects = [top, ...permissions.map(({ resolved }) => resolved)].flatMap(({ defects }) => defects);
  const regexDefects = intention.permissions.flatMap(({ http }) => regexDefectsOf(http));
  const denied = top.defects.length > 0 || regexDefects.length > 0;
  const source: AuthorizedSource = {
    name: intention.source,
    action: denied ? 'deny' : intention.action,
    permissions: denied ? [] : permissions.map(({ permission, resolved }) => resolvePermission(permission, resolved, defaultPolicy)),
    jwt: top.checks,
  };
  const problems = [
    ...jwtDefects.map((defect) => problemOf(intention, 'unknown-jwt-provider', `${callerName(intention)}: ${defect}, so what asks for the token is denied`)),
    ...regexDefects.map((defect) => problemOf(intention, 'invalid-regex', `${callerName(intention)} is denied: ${defect}`)),
  ];
  return { source, jwtProviders: [...permissions.flatMap(({ resolved }) => resolved.providers), ...top.providers], problems };
}

/** Compiling takes longer than all the rest, and an intention is looked at again with each change of its mesh: what was said of the same value is kept. */
const knownDefects = new WeakMap<object, readonly string[]>();

function regexDefectsOf(http: IntentionPermission['http']): readonly string[] {
  if (!http) return [];
  const known = knownDefects.get(http) ?? findRegexDefects(http);
  knownDefects.set(http, known);
  return known;
}

function findRegexDefects(http: NonNullable<IntentionPermission['http']>): string[] {
  const patterns = [http.path_regex, ...http.header.map(({ regex }) => regex)];
  return patterns.flatMap((pattern) => {
    const fault = pattern ? regexFault(pattern) : undefined;
    return fault ? [`${pattern}: ${fault}`] : [];
  });
}

/**
 * Under default allow a denial with a token denies those who hold it. Under default deny it denies everybody, as in Consul: to ask for the token would
 * not let in who has none. What cannot be verified denies.
 */
function resolvePermission(permission: IntentionPermission, jwt: ReturnType<typeof resolveJwtChecks>, defaultPolicy: 'allow' | 'deny'): AuthorizedPermission {
  const { action, http } = permission;
  if (jwt.defects.length > 0) return { action: 'deny', http, jwt: [] };
  return { action, http, jwt: action === 'allow' || defaultPolicy === 'allow' ? jwt.checks : [] };
}

function callerName({ source }: Intention): string {
  return source === ANY_SERVICE ? 'every caller' : source;
}

function problemOf(intention: Intention, code: string, message: string, hint?: string): Problem {
  return { code, severity: 'error', message, about: { kind: 'service-intentions', name: intention.destination }, ...(hint && { hint }) };
}
