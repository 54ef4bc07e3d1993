import type { ProxyConfig } from '../admin/admin-api.ts';
import { RESOURCE_TYPES, type ResourcesByName, type ResourceType } from '../cache/resource.ts';
import { decodeUnknown } from '../proto/codec.ts';

/** Resources as the JSON of their messages. Secrets named in `hidden` are left out: private keys are nobody's business here. */
export function decodeResources(resources: Partial<Readonly<Record<ResourceType, ResourcesByName>>>, hidden: Iterable<string>): ProxyConfig {
  const secret = new Map(resources.secret);
  for (const name of hidden) secret.delete(name);
  const of = (type: ResourceType, byName: ResourcesByName | undefined) =>
    [...(byName?.values() ?? [])].map(({ bytes }) => decodeUnknown(messageName(type), bytes));
  return {
    clusters: of('cluster', resources.cluster),
    endpoints: of('endpoint', resources.endpoint),
    listeners: of('listener', resources.listener),
    routes: of('route', resources.route),
    secrets: of('secret', secret),
  };
}

function messageName(type: ResourceType): string {
  return RESOURCE_TYPES[type].slice(RESOURCE_TYPES[type].indexOf('/') + 1);
}
