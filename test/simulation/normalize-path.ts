import type { envoy_extensions_filters_network_http_connection_manager_v3_HttpConnectionManager as HttpConnectionManager } from '../../src/proto/generated/types.ts';

type Normalization = Pick<HttpConnectionManager, 'normalize_path' | 'merge_slashes' | 'path_with_escaped_slashes_action'>;

/** The path as filters see it; undefined where the request is refused (400). Escaped slashes come first, then dots, then double slashes. */
export function normalizePath(path: string, settings: Normalization): string | undefined {
  const end = path.search(/[?#]/);
  const [bare, rest] = end < 0 ? [path, ''] : [path.slice(0, end), path.slice(end)];
  const unescaped = handleEscapedSlashes(bare, settings.path_with_escaped_slashes_action);
  if (unescaped === undefined) return undefined;
  const plain = settings.normalize_path ? removeDots(unescaped) : unescaped;
  return `${settings.merge_slashes ? plain.replace(/\/+/g, '/') : plain}${rest}`;
}

function handleEscapedSlashes(path: string, action: Normalization['path_with_escaped_slashes_action']): string | undefined {
  if (!/%2f|%5c/i.test(path)) return path;
  switch (action) {
    case 'REJECT_REQUEST':
      return undefined;
    case 'UNESCAPE_AND_FORWARD':
    case 'UNESCAPE_AND_REDIRECT':
      return path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
    default:
      return path;
  }
}

/** As a browser reads a path: unreserved characters unescaped, `\` is `/`, `.` and `..` resolved. */
function removeDots(path: string): string {
  const readable = path.replace(/%([0-9a-f]{2})/gi, (escaped, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : escaped;
  });
  const segments: string[] = [];
  const parts = readable.replaceAll('\\', '/').split('/').slice(1);
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    if (part === '..') segments.pop();
    if (part !== '.' && part !== '..') segments.push(part);
    else if (last) segments.push('');
  }
  return `/${segments.join('/')}`;
}
