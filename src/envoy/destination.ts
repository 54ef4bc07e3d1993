import type { Realm } from '../mesh/spiffe-id.ts';
import type { envoy_config_route_v3_RouteConfiguration as RouteConfiguration } from '../proto/generated/types.ts';
import { destinationClusterName } from '../topology/names.ts';
import { isHttp } from '../topology/proxy-settings.ts';
import type { DestinationView } from '../topology/proxy-view.ts';
import { buildEndpointAssignment } from './endpoint-assignment.ts';
import type { BuildContext, EnvoyResource } from './resource.ts';
import { buildUpstreamCluster } from './upstream-cluster.ts';

/** Consul's name for what is shared by all HTTP destinations on one port. */
export function httpDestinationRouteName(realm: Realm, port: number): string {
  return destinationClusterName('~http', String(port), realm);
}

/** Through the terminating gateways to each address; the SNI tells the gateway which one. */
export function buildDestinationClusters(context: BuildContext, { service, addresses, spiffeId, endpoints }: DestinationView): EnvoyResource[] {
  return addresses.flatMap((address): EnvoyResource[] => {
    const name = destinationClusterName(service, address, context);
    const cluster = buildUpstreamCluster({
      name,
      sni: name,
      spiffeIds: [spiffeId],
      connectTimeoutMs: 5000,
      // In Consul destinations are spoken to in HTTP/1.1 whatever their protocol.
      protocol: 'http',
      settings: {},
      tls: context.mesh.outgoingTls,
    });
    return [
      { type: 'cluster', name, body: cluster },
      { type: 'endpoint', name, body: buildEndpointAssignment(name, endpoints) },
    ];
  });
}

/** Per port, which host leads to which destination. */
export function buildDestinationRoutes(context: BuildContext, destinations: readonly DestinationView[]): EnvoyResource<RouteConfiguration>[] {
  const http = destinations.filter(({ protocol }) => isHttp(protocol));
  const ports = [...new Set(http.map(({ port }) => port))].sort((a, b) => a - b);
  return ports.map((port) => {
    const name = httpDestinationRouteName(context, port);
    const hosts = new Map(
      http.filter((destination) => destination.port === port).flatMap(({ service, addresses }) => addresses.map((host) => [host, service] as const)),
    );
    const virtual_hosts = [...hosts].map(([host, service]) => {
      const cluster = destinationClusterName(service, host, context);
      return { name: cluster, domains: [host], routes: [{ match: { prefix: '/' }, route: { cluster } }] };
    });
    return { type: 'route', name, body: { name, virtual_hosts } };
  });
}
