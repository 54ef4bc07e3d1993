import type { envoy_extensions_transport_sockets_tls_v3_SubjectAltNameMatcher as SubjectAltNameMatcher } from '../proto/generated/types.ts';
import type { Authorization } from '../topology/authorization.ts';
import { ANY_SERVICE } from '../topology/intentions.ts';
import { NOBODY } from './secret.ts';
import { ANY_SEGMENT, escapeRegex, serviceIdentityRegex } from './spiffe-regex.ts';

/**
 * The client identities that may connect at all, for `match_typed_subject_alt_names` of the inbound validation context.
 *
 * TCP services are authorized here, in the TLS handshake: network RBAC decides on the caller's first byte, and an application that
 * speaks first has sent its banner by then. Never empty, because Envoy takes an empty list for "everybody".
 * Envoy accepts a certificate when any of its SANs matches, so leaves must carry exactly one.
 */
export function callerSanMatchers(authorization: Authorization, trustDomain: string): SubjectAltNameMatcher[] {
  const named = authorization.sources.filter(({ name }) => name !== ANY_SERVICE);
  const others = authorization.sources.find(({ name }) => name === ANY_SERVICE)?.action ?? authorization.defaultAction;
  if (others !== 'deny') {
    const denied = named.filter(({ action }) => action === 'deny').map(({ name }) => name);
    return [matchingService(anyNameExcept(denied), trustDomain)];
  }
  const allowed = named.filter(({ action }) => action !== 'deny');
  if (allowed.length === 0) return [NOBODY];
  return allowed.map(({ name }) => matchingService(escapeRegex(name), trustDomain));
}

function matchingService(service: string, trustDomain: string): SubjectAltNameMatcher {
  return { san_type: 'URI', matcher: { safe_regex: { regex: serviceIdentityRegex(trustDomain, service) } } };
}

interface TrieNode {
  /** A denied name ends here. */
  denied: boolean;
  readonly next: Map<string, TrieNode>;
}

/**
 * A regex for every non-empty path segment that is none of `names`. RE2 has no look-ahead, but the complement of a finite set of words
 * is an ordinary regex: walk the trie of the words; at each step either leave it and let anything follow, or go on inside it.
 * Its size is linear in the names' total length.
 */
export function anyNameExcept(names: readonly string[]): string {
  // The empty segment counts as denied, so that the root asks for at least one character.
  const root: TrieNode = { denied: true, next: new Map() };
  for (const name of names) addWord(root, name);
  return complement(root);
}

function addWord(root: TrieNode, word: string): void {
  let node = root;
  for (const character of word) {
    const next = node.next.get(character) ?? { denied: false, next: new Map() };
    node.next.set(character, next);
    node = next;
  }
  node.denied = true;
}

/** What may follow after the characters that led to `node`. */
function complement(node: TrieNode): string {
  if (node.next.size === 0) return node.denied ? ANY_SEGMENT : '[^/]*';
  const children = [...node.next].sort(([a], [b]) => (a < b ? -1 : 1));
  const leaves = `[^/${children.map(([character]) => escapeInClass(character)).join('')}][^/]*`;
  const stays = children.map(([character, child]) => `${escapeRegex(character)}${complement(child)}`);
  return `(?:${[leaves, ...stays].join('|')})${node.denied ? '' : '?'}`;
}

function escapeInClass(character: string): string {
  return /[\\\]^-]/.test(character) ? `\\${character}` : character;
}
