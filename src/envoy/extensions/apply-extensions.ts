import type { Problem } from '../../mesh/problem.ts';
import { type ExtensionName, isExtensionName, parseExtensionArguments } from '../../mesh/schema/extension-arguments.ts';
import type { EnvoyExtension } from '../../topology/proxy-settings.ts';
import type { ProxyView } from '../../topology/proxy-view.ts';
import type { EnvoyResource, EnvoyTraits } from '../resource.ts';
import { applyExtAuthz } from './ext-authz.ts';
import { ExtensionError, type ExtensionInput } from './extension.ts';
import { applyLua } from './lua.ts';
import { applyOtelAccessLogging } from './otel-access-logging.ts';
import { applyPropertyOverride } from './property-override.ts';
import { meetsConstraint } from './version-constraint.ts';
import { applyWasm } from './wasm.ts';

export interface ExtendedResources {
  readonly resources: readonly EnvoyResource[];
  readonly problems: readonly Problem[];
  /** A `required` extension is missing: what it was to guard must not go unguarded. */
  readonly unguarded: boolean;
}

/** Consul's version that adsum is like; extensions may ask for a range of them. */
const CONSUL_VERSION = [1, 22, 7] as const;

/** Lets each extension change the resources, in the order of writing. One that cannot be applied changes nothing. */
export function applyExtensions(
  initial: readonly EnvoyResource[],
  { view, traits, publicListener }: { view: ProxyView; traits: EnvoyTraits; publicListener: string },
): ExtendedResources {
  let resources = initial;
  let unguarded = false;
  const problems: Problem[] = [];
  for (const extension of view.envoyExtensions) {
    if (!isWanted(extension, traits)) continue;
    const required = extension.required ?? false;
    try {
      resources = applyOne(extension, { resources, view, required, publicListener });
    } catch (error) {
      if (!(error instanceof ExtensionError)) throw error;
      problems.push(problemOf(extension, view, error.message));
      unguarded ||= required;
    }
  }
  return { resources, problems, unguarded };
}

/** A range that cannot be read, or a version that nobody knows, keeps nothing out. */
function isWanted({ consul_version: consul, envoy_version: envoy }: EnvoyExtension, { version }: EnvoyTraits): boolean {
  const consulFits = !consul || meetsConstraint(CONSUL_VERSION, consul) !== false;
  return consulFits && (!envoy || !version || meetsConstraint(version, envoy) !== false);
}

function applyOne({ name, arguments: written }: EnvoyExtension, input: ExtensionInput): readonly EnvoyResource[] {
  if (!isExtensionName(name)) throw new ExtensionError('adsum has no such extension');
  switch (name) {
    case 'builtin/lua':
      return forSidecars(name, written, input, applyLua);
    case 'builtin/ext-authz':
      return forSidecars(name, written, input, applyExtAuthz);
    case 'builtin/wasm':
      return forSidecars(name, written, input, applyWasm);
    case 'builtin/otel-access-logging':
      return forSidecars(name, written, input, applyOtelAccessLogging);
    case 'builtin/property-override':
      return forSidecars(name, written, input, applyPropertyOverride);
  }
}

/** Other kinds of proxies have their own; what is meant for them is none of a sidecar's business. */
function forSidecars<Name extends ExtensionName>(
  name: Name,
  written: unknown,
  input: ExtensionInput,
  apply: (settings: ReturnType<typeof argumentsOf<Name>>, input: ExtensionInput) => readonly EnvoyResource[],
): readonly EnvoyResource[] {
  const settings = argumentsOf(name, written);
  return (settings.proxy_type ?? 'connect-proxy') === 'connect-proxy' ? apply(settings, input) : input.resources;
}

function argumentsOf<Name extends ExtensionName>(name: Name, written: unknown) {
  const { value, defects } = parseExtensionArguments(name, written);
  if (value === undefined) throw new ExtensionError(defects.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  return value;
}

function problemOf({ name, required }: EnvoyExtension, { service }: ProxyView, reason: string): Problem {
  return {
    code: 'extension-not-applied',
    severity: required ? 'error' : 'warning',
    message: `the extension ${name} of ${service} is not applied: ${reason}`,
    hint: required ? 'it is required, so nobody may call the service until it can be applied' : 'correct its arguments, or remove it',
  };
}
