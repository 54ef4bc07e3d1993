import { OWN_LEAF } from '../topology/proxy-identity.ts';

/**
 * Every name that an Envoy resource or statistic of ours bears. Names with a counterpart in Consul are Consul's own, because
 * dashboards, escape hatches and extensions depend on them.
 */

/** The application behind the sidecar. */
export const LOCAL_APP = 'local_app';

/** Where connections go that no chain of the outbound listener claims: on to where they wanted to go. */
export const ORIGINAL_DESTINATION = 'original-destination';

/** adsum's own: refuses what this proxy may not call. A chain, its statistics and an empty cluster. */
export const DENIED = 'denied';

export const PUBLIC_LISTENER = 'public_listener';
export const OUTBOUND_LISTENER = 'outbound_listener';

/** Secrets bear the same name for every proxy, so that a cluster's bytes are equal for all its callers. */
export const SECRETS = {
  /** This service's certificate and key. */
  leaf: OWN_LEAF,
  /** The roots of the trust domain. */
  roots: 'roots',
  /** The roots, and who may call a tcp service. */
  callers: 'callers',
} as const;

/** The bind address is in the name because Envoy cannot re-bind a listener: another address must be another listener. IPv6 stands in brackets. */
export function listenerName(name: string, address: string, port: number): string {
  return `${name}:${address.includes(':') ? `[${address}]` : address}:${port}`;
}

export function pipeListenerName(name: string, path: string): string {
  return `${name}:${path}`;
}

/** Dialed directly: the cluster that dials the very instance the application chose. */
export function passthroughClusterName(sni: string): string {
  return `passthrough~${sni}`;
}

/** `n` counts from 0, in the order in which the targets are tried. */
export function failoverClusterName(n: number, cluster: string): string {
  return `failover-target~${n}~${cluster}`;
}

export function exposedClusterName(port: number): string {
  return `exposed_cluster_${port}`;
}

/** `/healthz` becomes `healthz`: Consul leaves only letters and digits of a path in names. */
function strippedPath(path: string): string {
  return path.replace(/[^a-zA-Z0-9]+/g, '');
}

export function exposedListenerName(path: string, address: string, port: number): string {
  return listenerName(`exposed_path_${strippedPath(path)}`, address, port);
}

export function exposedFilterName(path: string, port: number): string {
  return `exposed_path_filter_${strippedPath(path)}_${port}`;
}

/** Stat prefixes must not hold `:`, which separates nothing in Envoy but breaks its consumers. */
export function statPrefix(prefix: string, name = ''): string {
  return `${prefix}${name}`.replaceAll(':', '_');
}

export const UPSTREAM_STAT_PREFIX = 'upstream.';
