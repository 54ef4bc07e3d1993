/**
 * What a secret is, and what stands in its place wherever something is shown or logged. Known are: values under names that mean a
 * secret, values of headers that carry one, private keys in PEM, private and symmetric JSON Web Keys, bearer and basic credentials,
 * tokens of adsum, JSON Web Tokens, passwords in URLs. What a user writes elsewhere, say in a Lua script, cannot be known.
 */

export const REDACTED = '[redacted]';

/** Names of fields whose strings are secrets, wherever they stand: Envoy's, Consul's, and what users call theirs. */
const SECRET_FIELD =
  /(^|[._-])(private[_-]?key|client[_-]?key|api[_-]?key|shared[_-]?key|symmetric[_-]?key|access[_-]?key|password|passwd|passphrase|secret|token|credentials?|session_ticket_keys|pkcs12)$/i;
/** The same in camelCase. */
const SECRET_CAMEL_FIELD = /(private|client|api|shared|symmetric|access)Key$|(Password|Passphrase|Secret|Token|Credentials?)$/;
/** Beneath such a field these say where a secret is, not what it is. */
const WHEREABOUTS = new Set(['filename', 'environment_variable', 'name', 'path', 'sds_config', 'uri', 'url', '@type', 'header', 'watched_directory']);

/** Headers that carry a secret. */
const SECRET_HEADER = /^(proxy-)?authorization$|^(set-)?cookie$|(^|[-_])(token|secret|password|api-?key|apikey|signature|credentials?)([-_]|$)/i;
/** What a header's name stands under, and its value or what it is compared with. */
const HEADER_NAMES = ['key', 'name', 'header', 'header_name', 'Name', 'Key'];
const HEADER_VALUES = new Set([
  ...['value', 'raw_value', 'Value', 'exact', 'prefix', 'suffix', 'contains', 'regex'],
  ...['string_match', 'exact_match', 'prefix_match', 'suffix_match', 'contains_match', 'safe_regex_match'],
]);

/** Members of JSON Web Keys that are private, or are the key itself. Source: RFC 7518, section 6. */
const PRIVATE_MEMBERS = new Set(['k', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth']);

const IN_TEXT: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
  [/\b(Bearer|Basic|Negotiate)(\s+)[^\s"',;}\]\\]+/gi, `$1$2${REDACTED}`],
  [/\badsum_[0-9a-f]{12}_[A-Za-z0-9_-]{20,}/g, REDACTED],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, REDACTED],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@"']*):[^\s/@"']+@/gi, `$1:${REDACTED}@`],
  // a key in a key set that is quoted inside of a text
  [/(\\*"(?:k|d|p|q|dp|dq|qi)\\*"\s*:\s*\\*")[A-Za-z0-9_-]{8,}/g, `$1${REDACTED}`],
];

/** A text without the secrets in it. */
export function redactText(text: string): string {
  const keySet = redactKeySet(text) ?? redactEncodedKeySet(text);
  if (keySet !== undefined) return keySet;
  let clean = text;
  for (const [pattern, replacement] of IN_TEXT) clean = clean.replace(pattern, replacement);
  return clean;
}

/** A copy of a JSON value without the secrets in it. What holds none is the same object. */
export function redact<Value>(value: Value): Value {
  return clean(value) as Value;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) return mapped(value, clean);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const ofHeader = HEADER_NAMES.some((name) => {
    const said = (value as Record<string, unknown>)[name];
    return typeof said === 'string' && SECRET_HEADER.test(said);
  });
  return mappedFields(value, (field, inner) => {
    if (ofHeader && HEADER_VALUES.has(field)) return blank(inner);
    return isSecretField(field) ? blank(inner) : clean(inner);
  });
}

/** Every string, bytes included, but what says where the secret is. */
function blank(value: unknown): unknown {
  if (typeof value === 'string') return value === '' ? value : REDACTED;
  if (Array.isArray(value)) return mapped(value, blank);
  if (typeof value !== 'object' || value === null) return value;
  return mappedFields(value, (field, inner) => (WHEREABOUTS.has(field) ? clean(inner) : blank(inner)));
}

function isSecretField(field: string): boolean {
  return SECRET_FIELD.test(field) || SECRET_CAMEL_FIELD.test(field);
}

function redactKeySet(text: string): string | undefined {
  if (!/^\s*\{[\s\S]*"(kty|keys)"/.test(text)) return undefined;
  try {
    return JSON.stringify(JSON.parse(text), (field, inner) => (PRIVATE_MEMBERS.has(field) && typeof inner === 'string' ? REDACTED : inner));
  } catch {
    return undefined;
  }
}

/** As jwt-provider entries hold key sets. */
function redactEncodedKeySet(text: string): string | undefined {
  if (text.length < 40 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const inner = Buffer.from(text, 'base64').toString('utf8');
  const keySet = redactKeySet(inner);
  return keySet === undefined ? undefined : Buffer.from(keySet).toString('base64');
}

function mapped(values: readonly unknown[], change: (value: unknown) => unknown): readonly unknown[] {
  const next = values.map(change);
  return next.every((value, index) => value === values[index]) ? values : next;
}

function mappedFields(value: object, change: (field: string, inner: unknown) => unknown): object {
  const fields = Object.entries(value);
  const next = fields.map(([field, inner]) => [field, change(field, inner)] as const);
  return next.every(([, inner], index) => inner === fields[index]?.[1]) ? value : Object.fromEntries(next);
}
