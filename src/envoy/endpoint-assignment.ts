import type { envoy_config_endpoint_v3_ClusterLoadAssignment as ClusterLoadAssignment } from '../proto/generated/types.ts';
import type { Endpoint } from '../topology/endpoints.ts';
import { socketAddress } from './address.ts';

/**
 * Where the instances of a cluster are. Sent for every EDS cluster, even when nobody is known: a cluster that waits for its
 * endpoints holds up everything behind it.
 */
export function buildEndpointAssignment(cluster: string, endpoints: readonly Endpoint[] | undefined): ClusterLoadAssignment {
  return {
    cluster_name: cluster,
    ...(endpoints && {
      endpoints: [
        {
          lb_endpoints: endpoints.map(({ address, port, healthy, weight }) => ({
            endpoint: { address: socketAddress(address, port) },
            health_status: healthy ? 'HEALTHY' : 'UNHEALTHY',
            load_balancing_weight: weight,
          })),
        },
      ],
    }),
  };
}
