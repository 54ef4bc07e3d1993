import type { Instance } from '../instance.ts';
import type { Problem } from '../problem.ts';
import type { EntryOfKind } from '../schema/config-entry.ts';
import type { JwtRequirement } from '../schema/jwt-requirement.ts';
import type { ValuePath } from '../schema/parser.ts';
import { protocolByEntries } from '../service-protocol.ts';
import { problemIn, type Referenced } from './references.ts';

/** What intentions say of protocols and JWT providers. */
export function checkIntentionReferences(mesh: Referenced & { readonly instances: readonly Instance[] }): Problem[] {
  const httpByProxy = servicesOfHttpProxies(mesh.instances);
  const isTcp = (service: string) => protocolByEntries(mesh.configEntries, service) === 'tcp' && !httpByProxy.has(service);
  return mesh.configEntries
    .ofKind('service-intentions')
    .flatMap((entry) => [...checkProviders(entry, mesh), ...checkCase(entry), ...(entry.name !== '*' && isTcp(entry.name) ? checkTcp(entry) : [])]);
}

/** Every place of an entry that asks for a token. */
function requirements(entry: EntryOfKind<'service-intentions'>): { readonly jwt: JwtRequirement; readonly path: ValuePath }[] {
  const ofPermissions = entry.sources.flatMap(({ permissions }, source) =>
    permissions.flatMap(({ jwt }, rule) => (jwt ? [{ jwt, path: ['sources', source, 'permissions', rule, 'jwt'] }] : [])),
  );
  return [...(entry.jwt ? [{ jwt: entry.jwt, path: ['jwt'] }] : []), ...ofPermissions];
}

function checkProviders(entry: EntryOfKind<'service-intentions'>, { configEntries }: Referenced): Problem[] {
  return requirements(entry).flatMap(({ jwt, path }) =>
    jwt.providers.flatMap(({ name }, index) => {
      if (configEntries.get('jwt-provider', name)) return [];
      const known = configEntries.ofKind('jwt-provider').map((provider) => provider.name);
      const hint = known.length > 0 ? `there are ${known.join(', ')}` : `write a jwt-provider entry "${name}"`;
      const at = [...path, 'providers', index, 'name'];
      return [problemIn(entry, at, { severity: 'error', code: 'unknown-jwt-provider', message: `there is no jwt-provider "${name}"`, hint })];
    }),
  );
}

/** Values of headers are compared with their case, as in Consul. An application that does not look at it takes what a denial lets through. */
function checkCase(entry: EntryOfKind<'service-intentions'>): Problem[] {
  return entry.sources.flatMap(({ permissions }, source) =>
    permissions.flatMap(({ action, http }, rule) =>
      (http?.header ?? []).flatMap((header, index) => {
        const text = header.exact ?? header.prefix ?? header.suffix ?? header.contains;
        const letters = text !== undefined && text.toLowerCase() !== text.toUpperCase();
        if (action !== 'deny' || !letters || header.ignore_case || header.invert) return [];
        const message = `the denial by header "${header.name}" is about ${JSON.stringify(text)} in this case only: whoever writes it in another one is not denied`;
        const hint = 'add "ignore_case: true", unless the application looks at the case too';
        const at = ['sources', source, 'permissions', rule, 'http', 'header', index];
        return [problemIn(entry, at, { severity: 'warning', code: 'deny-by-case', message, hint })];
      }),
    ),
  );
}

/** Consul takes such entries, and denies what they would allow. */
function checkTcp(entry: EntryOfKind<'service-intentions'>): Problem[] {
  const hint = `write a service-defaults entry for "${entry.name}" with protocol http, http2 or grpc`;
  const problems = entry.sources.flatMap((source, index) => {
    if (source.permissions.length === 0) return [];
    const message = `"${entry.name}" speaks tcp, so permissions for HTTP deny "${source.name}" altogether`;
    return [problemIn(entry, ['sources', index, 'permissions'], { severity: 'warning', code: 'intention-needs-http', message, hint })];
  });
  if (entry.jwt) {
    problems.push(
      problemIn(entry, ['jwt'], { severity: 'warning', code: 'intention-needs-http', message: `"${entry.name}" speaks tcp, which carries no tokens`, hint }),
    );
  }
  return problems;
}

/** Services one of whose proxies says itself that it speaks HTTP. */
function servicesOfHttpProxies(instances: readonly Instance[]): Set<string> {
  const proxies = instances.flatMap(({ proxy }) => proxy ?? []);
  return new Set(
    proxies.filter(({ config }) => ['http', 'http2', 'grpc'].includes(String(config?.protocol).toLowerCase())).map((proxy) => proxy.destination_service_name),
  );
}
