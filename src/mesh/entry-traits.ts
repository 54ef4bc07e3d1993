import type { ConfigEntryKind } from './schema/config-entry.ts';

/** What adsum does with the config entries of a kind. */
interface EntryTraits {
  /** Something that is served follows from them: a live Consul is watched for them. */
  readonly served: boolean;
  /** Each is about the service of its name, whose spelling it takes. */
  readonly namedAfterService: boolean;
  /** As in Consul the service of its name has a virtual IP for as long as there is one. */
  readonly takesVirtualIp: boolean;
}

const ABOUT_SERVICE: EntryTraits = { served: true, namedAfterService: true, takesVirtualIp: true };
const GENERAL: EntryTraits = { served: true, namedAfterService: false, takesVirtualIp: false };
const GATEWAY: EntryTraits = { served: false, namedAfterService: true, takesVirtualIp: false };
const NOT_SERVED: EntryTraits = { served: false, namedAfterService: false, takesVirtualIp: false };

/** Every kind: a new one cannot be forgotten here, and so neither where its entries are watched, spelled and given addresses. */
const TRAITS: Readonly<Record<ConfigEntryKind, EntryTraits>> = {
  'proxy-defaults': GENERAL,
  'service-defaults': ABOUT_SERVICE,
  'service-intentions': ABOUT_SERVICE,
  'service-router': ABOUT_SERVICE,
  'service-splitter': ABOUT_SERVICE,
  'service-resolver': ABOUT_SERVICE,
  mesh: GENERAL,
  'jwt-provider': GENERAL,
  'terminating-gateway': { served: true, namedAfterService: true, takesVirtualIp: false },
  'ingress-gateway': GATEWAY,
  'api-gateway': GATEWAY,
  'http-route': NOT_SERVED,
  'tcp-route': NOT_SERVED,
  'inline-certificate': NOT_SERVED,
  'file-system-certificate': NOT_SERVED,
  'exported-services': NOT_SERVED,
  'control-plane-request-limit': NOT_SERVED,
  'sameness-group': NOT_SERVED,
};

export const SERVED_KINDS = (Object.keys(TRAITS) as ConfigEntryKind[]).filter((kind) => TRAITS[kind].served);

export function isNamedAfterService({ kind }: { readonly kind: ConfigEntryKind }): boolean {
  return TRAITS[kind].namedAfterService;
}

export function takesVirtualIp({ kind, name }: { readonly kind: ConfigEntryKind; readonly name: string }): boolean {
  return TRAITS[kind].takesVirtualIp && name !== '*';
}
