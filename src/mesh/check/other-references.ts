import type { Problem } from '../problem.ts';
import type { EntryOfKind } from '../schema/config-entry.ts';
import { type ExtensionName, isExtensionName, parseExtensionArguments } from '../schema/extension-arguments.ts';
import { problemIn, type Referenced } from './references.ts';
import { regexFaultsIn } from './regex.ts';

/** Source: Consul 1.22's Envoy extensions. */
const EXTENSIONS = ['builtin/lua', 'builtin/ext-authz', 'builtin/property-override', 'builtin/wasm', 'builtin/otel-access-logging', 'builtin/aws/lambda'];

type Defaults = EntryOfKind<'proxy-defaults'> | EntryOfKind<'service-defaults'>;
type Extension = Defaults['envoy_extensions'][number];

/** References and settings that are taken but have no effect. */
export function checkOtherReferences(mesh: Referenced): Problem[] {
  const entries = mesh.configEntries;
  const defaults: Defaults[] = [...entries.ofKind('proxy-defaults'), ...entries.ofKind('service-defaults')];
  return [
    ...defaults.flatMap((entry) => [...checkPermissive(entry, mesh), ...checkExtensions(entry)]),
    ...[...entries.ofKind('http-route'), ...entries.ofKind('tcp-route')].flatMap((entry) => checkParents(entry, mesh)),
    ...entries.ofKind('service-intentions').flatMap(checkEnterprise),
  ];
}

function checkPermissive(entry: Defaults, { configEntries }: Referenced): Problem[] {
  if (entry.mutual_tls_mode !== 'permissive' || configEntries.get('mesh', 'mesh')?.allow_enabling_permissive_mutual_tls) return [];
  const message = 'permissive mutual TLS is not allowed in this mesh, so it stays strict';
  const hint = 'set allow_enabling_permissive_mutual_tls in the mesh entry';
  return [problemIn(entry, ['mutual_tls_mode'], { severity: 'warning', code: 'permissive-not-allowed', message, hint })];
}

function checkExtensions(entry: Defaults): Problem[] {
  return entry.envoy_extensions.flatMap((extension, index) => {
    const { name } = extension;
    if (isExtensionName(name)) return checkArguments(entry, extension, index, name);
    if (EXTENSIONS.includes(name)) return [];
    const message = `there is no Envoy extension "${name}"`;
    return [
      problemIn(entry, ['envoy_extensions', index, 'name'], {
        severity: 'warning',
        code: 'unknown-extension',
        message,
        hint: `one of ${EXTENSIONS.join(', ')}`,
      }),
    ];
  });
}

/** The service is closed when a required extension cannot be applied, so a defect in its arguments is no mere warning then. */
function checkArguments(entry: Defaults, extension: Extension, index: number, name: ExtensionName): Problem[] {
  const { defects } = parseExtensionArguments(name, extension.arguments);
  const severity = extension.required ? 'error' : 'warning';
  const patterns = regexFaultsIn(extension.arguments).map(({ path, fault }) => ({
    code: 'invalid-regex',
    message: fault,
    path,
    hint: 'see the RE2 syntax page',
  }));
  return [...defects, ...patterns].map(({ code, message, path, hint }) =>
    problemIn(entry, ['envoy_extensions', index, 'arguments', ...path], { severity, code, message, ...(hint ? { hint } : {}) }),
  );
}

function checkParents(entry: EntryOfKind<'http-route'> | EntryOfKind<'tcp-route'>, { configEntries }: Referenced): Problem[] {
  return entry.parents.flatMap(({ kind, name, section_name }, index) => {
    if (kind !== undefined && kind !== 'api-gateway') return [];
    const gateway = configEntries.get('api-gateway', name);
    const isKnown = gateway && (!section_name || gateway.listeners.some((listener) => listener.name === section_name));
    if (isKnown) return [];
    const what = gateway ? `the api-gateway "${name}" has no listener "${section_name}"` : `there is no api-gateway "${name}"`;
    const path = ['parents', index, gateway ? 'section_name' : 'name'];
    return [problemIn(entry, path, { severity: 'warning', code: 'unknown-gateway', message: what, hint: 'the route is bound to nothing until there is' })];
  });
}

function checkEnterprise(entry: EntryOfKind<'service-intentions'>): Problem[] {
  return entry.sources.flatMap(({ sameness_group }, index) => {
    if (!sameness_group) return [];
    const message = 'sameness groups are a feature of Consul Enterprise: this source matches nobody';
    return [problemIn(entry, ['sources', index, 'sameness_group'], { severity: 'warning', code: 'without-effect', message, hint: 'leave it out' })];
  });
}
