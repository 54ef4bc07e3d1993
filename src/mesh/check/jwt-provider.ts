import type { JwtProvider } from '../schema/jwt-provider.ts';
import type { Defect } from '../schema/parser.ts';

/** What Consul refuses of a jwt-provider entry. */
export function checkJwtProvider(entry: JwtProvider): Defect[] {
  const { local, remote } = entry.json_web_key_set;
  const at = ['json_web_key_set'];
  const defects: Defect[] = [];
  if (!local === !remote) defects.push({ code: 'conflicting-fields', message: 'exactly one of "local" and "remote" is needed', path: at });
  if (local && !local.jwks === !local.filename) {
    defects.push({ code: 'conflicting-fields', message: 'exactly one of "jwks" and "filename" is needed', path: [...at, 'local'] });
  }
  if (local?.jwks && !isKeySet(local.jwks)) {
    defects.push({ code: 'invalid-value', message: 'not a JSON Web Key Set in base64', path: [...at, 'local', 'jwks'], hint: 'base64 of {"keys": […]}' });
  }
  if (remote && !isHttpUrl(remote.uri)) {
    defects.push({ code: 'invalid-value', message: `${JSON.stringify(remote.uri)} is not an HTTP URL`, path: [...at, 'remote', 'uri'], hint: 'https://…' });
  }
  for (const [index, location] of entry.locations.entries()) {
    if ([location.header, location.query_param, location.cookie].filter(Boolean).length !== 1) {
      const hint = 'make each of them a location of its own';
      defects.push({ code: 'conflicting-fields', message: 'exactly one of "header", "query_param" and "cookie" is needed', path: ['locations', index], hint });
    }
  }
  return defects;
}

function isKeySet(base64: string): boolean {
  try {
    const keySet: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))));
    return typeof keySet === 'object' && keySet !== null && Array.isArray((keySet as { keys?: unknown }).keys);
  } catch {
    return false;
  }
}

function isHttpUrl(uri: string): boolean {
  return URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol);
}
