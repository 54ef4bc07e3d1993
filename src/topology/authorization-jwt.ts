import { keySetFault } from '../mesh/check/json-web-key-set.ts';
import type { EntryOfKind } from '../mesh/schema/config-entry.ts';
import type { Intention } from './intentions.ts';

/** A jwt-provider entry whose keys are known to be within reach. */
export type JwtProvider = EntryOfKind<'jwt-provider'>;

/** A token of one issuer, with these claims. */
export interface JwtCheck {
  readonly provider: string;
  readonly issuer: string;
  readonly claims: readonly { readonly path: readonly string[]; readonly value: string }[];
}

export interface ResolvedJwtChecks {
  readonly checks: readonly JwtCheck[];
  readonly providers: readonly JwtProvider[];
  /** Why a provider cannot be checked against. Any: the token as a whole cannot be demanded, and its owner must deny. */
  readonly defects: readonly string[];
}

/** Looks up the providers that an intention or permission names. */
export function resolveJwtChecks(requirement: Intention['jwt'], known: ReadonlyMap<string, JwtProvider>): ResolvedJwtChecks {
  const checks: JwtCheck[] = [];
  const providers: JwtProvider[] = [];
  const defects: string[] = requirement?.providers.length === 0 ? ['a token is asked for, but of no jwt-provider'] : [];
  for (const { name, verify_claims: claims } of requirement?.providers ?? []) {
    const provider = known.get(name);
    const defect = provider ? jwtProviderDefect(provider) : 'does not exist';
    if (!provider || defect) {
      defects.push(`the jwt-provider ${name} ${defect}`);
      continue;
    }
    providers.push(provider);
    // A claim without a value is compared with the empty text, which fails closed.
    checks.push({ provider: name, issuer: provider.issuer ?? '', claims: claims.map(({ path, value }) => ({ path, value: value ?? '' })) });
  }
  return { checks, providers, defects };
}

/** Why no token of this provider can be verified, if so. */
export function jwtProviderDefect(provider: JwtProvider): string | undefined {
  const { local, remote } = provider.json_web_key_set;
  // RBAC recognizes a verified token by its issuer.
  if (!provider.issuer) return 'has no issuer';
  if (local) return localKeysDefect(local);
  if (!remote) return 'has no keys';
  return jwksAddress(remote.uri ?? '') ? undefined : 'has a remote key URI that is neither http nor https';
}

/** A file is on the machine of the proxy: what is in it is not known here. */
function localKeysDefect({ jwks, filename }: NonNullable<JwtProvider['json_web_key_set']['local']>): string | undefined {
  if (jwks) return keySetFault(jwks) && 'has no local keys that could be used';
  return filename ? undefined : 'has no local keys';
}

/** Where remote keys are fetched from. Ports default to those of the scheme. */
export function jwksAddress(uri: string): { readonly host: string; readonly port: number; readonly tls: boolean } | undefined {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) return undefined;
  const tls = url.protocol === 'https:';
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port ? Number(url.port) : tls ? 443 : 80, tls };
}
