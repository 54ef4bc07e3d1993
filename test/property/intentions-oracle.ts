import type { EntryOfKind } from '../../src/mesh/schema/config-entry.ts';
import type { Request } from './rbac-evaluator.ts';

/** Consul's rules of intentions by brute force, written apart from the product and from its documentation. */

type Entry = EntryOfKind<'service-intentions'>;
type Source = Entry['sources'][number];
type Permission = Source['permissions'][number];
type HttpMatch = NonNullable<Permission['http']>;

export interface Rules {
  readonly entries: readonly Entry[];
  readonly defaultPolicy: 'allow' | 'deny';
  /** Those that can be asked for a token. */
  readonly providers: { has(name: string): boolean };
}

export interface Deciding {
  readonly source: Source;
  readonly jwt: Entry['jwt'];
}

/** The intention that decides, by Consul's precedence numbers: 9 both exact, 8 exact destination, 6 exact source, 5 neither. */
export function deciding(list: readonly Entry[], caller: string, destination: string): Deciding | undefined {
  const matching = list.flatMap((entry) =>
    entry.sources
      .filter(({ name }) => (name === caller || name === '*') && (entry.name === destination || entry.name === '*'))
      .map((found) => ({ source: found, jwt: entry.jwt, precedence: (entry.name === '*' ? 5 : 8) + (found.name === '*' ? 0 : 1) })),
  );
  return matching.sort((a, b) => b.precedence - a.precedence)[0];
}

export function actionOf({ action, permissions }: Source): 'allow' | 'deny' | 'l7' {
  return permissions.length > 0 ? 'l7' : (action ?? 'deny');
}

export function intentionsAllow({ entries, defaultPolicy, providers }: Rules, caller: string, destination: string, sent: Request): boolean {
  const decided = deciding(entries, caller, destination);
  if (!decided) return defaultPolicy === 'allow';
  const action = actionOf(decided.source);
  if (action === 'deny' || !hasToken(decided.jwt, sent, providers)) return false;
  if (action === 'allow') return true;
  const first = decided.source.permissions.find((one) => {
    const matches = one.http === undefined || requestMatches(one.http, sent, denies(one, providers));
    // Under default allow a denial is about those who hold its token; one that nobody can hold is about everybody.
    const isAbout = defaultPolicy === 'deny' || one.action === 'allow' || isUnanswerable(one.jwt, providers) || hasToken(one.jwt, sent, providers);
    return matches && isAbout;
  });
  if (!first) return defaultPolicy === 'allow';
  return first.action === 'allow' && hasToken(first.jwt, sent, providers);
}

function isUnanswerable(demand: Entry['jwt'], providers: Rules['providers']): boolean {
  return demand?.providers.some(({ name }) => !providers.has(name)) ?? false;
}

/** By itself, or because a provider does not exist and so nobody can have the token. */
function denies({ action, jwt: demand }: Permission, providers: Rules['providers']): boolean {
  return action === 'deny' || (demand?.providers.some(({ name }) => !providers.has(name)) ?? false);
}

/** A provider that does not exist makes the whole demand unanswerable. */
function hasToken(demand: Entry['jwt'], { tokens }: Request, providers: Rules['providers']): boolean {
  if (!demand) return true;
  if (demand.providers.some(({ name }) => !providers.has(name))) return false;
  return demand.providers.some(({ name, verify_claims }) => {
    const payload = tokens[`jwt_payload_${name}`];
    return (
      payload !== undefined &&
      verify_claims.every(
        ({ path: keys, value }) => keys.reduce<unknown>((at, key) => (at instanceof Object ? Reflect.get(at, key) : undefined), payload) === value,
      )
    );
  });
}

/** What denies takes a missing header for an empty one where all values but some are meant: to leave it out must not open the door. */
function requestMatches(http: HttpMatch, { path: sentPath, method, headers }: Request, denying: boolean): boolean {
  if (http.path_exact && sentPath !== http.path_exact) return false;
  if (http.path_prefix && !sentPath.startsWith(http.path_prefix)) return false;
  if (http.path_regex && !new RegExp(`^(?:${http.path_regex})$`).test(sentPath)) return false;
  if (http.methods.length > 0 && !http.methods.includes(method)) return false;
  return http.header.every((header) => {
    const invert = header.invert ?? false;
    const sentValue = headers[header.name.toLowerCase()];
    if (header.present) return (sentValue !== undefined) !== invert;
    const value = sentValue ?? (denying && invert ? '' : undefined);
    if (value === undefined) return false;
    const fold = (text: string) => (header.ignore_case ? text.toLowerCase() : text);
    if (header.exact) return (fold(value) === fold(header.exact)) !== invert;
    if (header.prefix) return fold(value).startsWith(fold(header.prefix)) !== invert;
    if (header.suffix) return fold(value).endsWith(fold(header.suffix)) !== invert;
    if (header.contains) return fold(value).includes(fold(header.contains)) !== invert;
    return (value === header.regex) !== invert;
  });
}
