import type { Realm } from '../mesh/spiffe-id.ts';

/**
 * Names derived from services, exactly as Consul forms them: metrics, dashboards and SNI routing depend on
 * them. The community edition has one namespace and one partition, both called `default`.
 */

const NAMESPACE = 'default';
const PARTITION = 'default';

/** `[<subset>.]<service>.default.<datacenter>.internal.<trust domain>`: SNI, and the cluster's name unless its chain is customised. */
export function serviceSni(service: string, subset: string | undefined, { datacenter, trustDomain }: Realm): string {
  return `${subset ? `${subset}.` : ''}${service}.${NAMESPACE}.${datacenter}.internal.${trustDomain}`;
}

/** The SNI of an upstream that is a prepared query. */
export function preparedQuerySni(query: string, { datacenter, trustDomain }: Realm): string {
  return `${query}.${NAMESPACE}.${datacenter}.query.${trustDomain}`;
}

/** `destination.<address with dashes>.<service>.default.<datacenter>.internal.<trust domain>`: one address of an egress service. */
export function destinationClusterName(service: string, address: string, { datacenter, trustDomain }: Realm): string {
  return `destination.${address.replace(/[.:]/g, '-')}.${service}.${NAMESPACE}.${datacenter}.internal.${trustDomain}`;
}

/** The name, namespace, partition and datacenter of a chain, as statistics show it: `api.default.default.dc1`. */
export function chainStatName(service: string, datacenter: string): string {
  return `${service}.${NAMESPACE}.${PARTITION}.${datacenter}`;
}

/** How Consul writes an upstream in listener and route names: `[<type>:]<name>[?dc=<datacenter> | ?peer=<peer>]`. */
export function upstreamName(upstream: { type?: string; name: string; datacenter?: string; peer?: string }): string {
  const prefix = upstream.type && upstream.type !== 'service' ? `${upstream.type}:` : '';
  const suffix = upstream.peer ? `?peer=${upstream.peer}` : upstream.datacenter ? `?dc=${upstream.datacenter}` : '';
  return `${prefix}${upstream.name}${suffix}`;
}
