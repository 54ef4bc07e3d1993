import type { JwtProvider } from '../schema/jwt-provider.ts';
import type { Defect } from '../schema/parser.ts';
import { keySetFault } from './json-web-key-set.ts';

/** What Consul refuses of a jwt-provider entry. */
export function checkJwtProvider(entry: JwtProvider): Defect[] {
  const { local, remote } = entry.json_web_key_set;
  const at = ['json_web_key_set'];
  const defects: Defect[] = [];
  if (!local === !remote) defects.push({ code: 'conflicting-fields', message: 'exactly one of "local" and "remote" is needed', path: at });
  if (local && !local.jwks === !local.filename) {
    defects.push({ code: 'conflicting-fields', message: 'exactly one of "jwks" and "filename" is needed', path: [...at, 'local'] });
  }
  const keyFault = local?.jwks ? keySetFault(local.jwks) : undefined;
  if (keyFault) {
    const hint = 'base64 of {"keys": […]} with a key for RS…, PS…, ES…, HS… or EdDSA';
    defects.push({ code: 'invalid-value', message: keyFault, path: [...at, 'local', 'jwks'], hint });
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

function isHttpUrl(uri: string): boolean {
  return URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol);
}
