import type { GrpcServiceSettings, TargetSettings } from '../../mesh/schema/extension-arguments.ts';
import { sameName } from '../../mesh/service-names.ts';
import type { envoy_config_cluster_v3_Cluster as Cluster, envoy_config_core_v3_GrpcService as GrpcService } from '../../proto/generated/types.ts';
import type { ProxyView } from '../../topology/proxy-view.ts';
import { socketAddress } from '../address.ts';
import { chainClusters } from '../chain-cluster.ts';
import { envoyDuration } from '../duration.ts';
import { buildHttp2Options } from '../upstream-cluster.ts';
import { ExtensionError } from './extension.ts';

/** The cluster of an upstream by the service's name. Extensions may only call whom the proxy may call. */
export function upstreamClusterName(view: ProxyView, service: string): string {
  const upstream = view.upstreams.find((candidate) => sameName(candidate.service, service));
  const [cluster] = upstream?.route.type === 'chain' ? chainClusters(upstream.route.chain) : [];
  if (!cluster) throw new ExtensionError(`${service} is no upstream of ${view.service}`);
  return cluster.name;
}

/** Where a target is: the cluster of an upstream, or one of its own for a program on the same host. */
export function resolveTarget(
  view: ProxyView,
  target: TargetSettings,
  local: { readonly clusterName: string; readonly grpc: boolean },
): { clusterName: string; cluster?: Cluster } {
  const { service, uri, timeout } = target;
  if (Boolean(service) === Boolean(uri)) throw new ExtensionError('the target must be either a service or a URI');
  if (service) return { clusterName: upstreamClusterName(view, service.name) };
  const { host, port } = parseLocalAddress(uri ?? '');
  const name = local.clusterName;
  const cluster: Cluster = {
    name,
    type: host === 'localhost' ? 'STRICT_DNS' : 'STATIC',
    ...(timeout && { connect_timeout: envoyDuration(timeout) }),
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(host, port) } }] }] },
    ...(local.grpc && buildHttp2Options('grpc')),
  };
  return { clusterName: name, cluster };
}

export function buildGrpcService(settings: GrpcServiceSettings, clusterName: string): GrpcService {
  const { target, authority, initial_metadata: metadata } = settings;
  return {
    envoy_grpc: { cluster_name: clusterName, ...(authority && { authority }) },
    ...(target.timeout && { timeout: envoyDuration(target.timeout) }),
    ...(metadata.length > 0 && { initial_metadata: metadata.map(({ key, value }) => ({ key, value: value ?? '' })) }),
  };
}

const OWN_HOST = ['localhost', '127.0.0.1', '::1'];

function parseLocalAddress(uri: string): { host: string; port: number } {
  const address = uri.replace(/^[a-z+.-]+:\/\//i, '');
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, Math.max(colon, 0)).replace(/^\[|\]$/g, '') || 'localhost';
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) throw new ExtensionError(`${JSON.stringify(uri)} is not host:port`);
  if (!OWN_HOST.includes(host))
    throw new ExtensionError(`${JSON.stringify(uri)}: only ${OWN_HOST.join(', ')} can be called without being a service of the mesh`);
  return { host, port };
}
