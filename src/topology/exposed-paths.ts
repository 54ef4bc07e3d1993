import type { CheckDefinition, Instance } from '../mesh/instance.ts';
import type { Problem } from '../mesh/problem.ts';
import type { ProxySettings } from './proxy-settings.ts';
import type { Topology } from './topology.ts';

/** A path of the application that is reachable without mutual TLS. */
export interface ExposedPath {
  readonly path: string;
  readonly protocol: 'http' | 'http2';
  readonly listenerPort: number;
  readonly localPort: number;
  /** Nothing but these is let in without mutual TLS. */
  readonly methods: readonly string[];
  /** Whether anybody may ask, or only the agent, which runs the checks. */
  readonly audience: 'anybody' | { readonly agentAddress: string };
}

/** Consul's `expose_min_port`: checks take ports from here on, in their order. */
const FIRST_CHECK_PORT = 21500;
const LAST_CHECK_PORT = 21755;

/** The paths that a proxy is asked to expose, and those of checks. */
export function exposedPathsOf(topology: Topology, proxy: Instance, settings: ProxySettings): readonly ExposedPath[] {
  const written = settings.exposedPaths.flatMap((exposed): ExposedPath[] => {
    const { path, listener_port: listenerPort, local_path_port: localPort } = exposed;
    return path && listenerPort && localPort
      ? [{ path, protocol: exposed.protocol ?? 'http', listenerPort, localPort, methods: METHODS[exposed.protocol ?? 'http'], audience: 'anybody' }]
      : [];
  });
  return settings.exposeChecks ? [...written, ...checksOf(topology, proxy)] : written;
}

/** Of two on one port the first is exposed. */
export function withDistinctPorts(service: string, wanted: readonly ExposedPath[]): { paths: readonly ExposedPath[]; problems: readonly Problem[] } {
  const paths = new Map<number, ExposedPath>();
  const problems: Problem[] = [];
  for (const exposed of wanted) {
    if (paths.has(exposed.listenerPort)) problems.push(portTaken(service, exposed));
    else paths.set(exposed.listenerPort, exposed);
  }
  return { paths: [...paths.values()], problems };
}

/** Health and metrics are read; what is exposed as HTTP/2 may be gRPC, all of which is POST. */
const METHODS = { http: ['GET', 'HEAD'], http2: ['GET', 'HEAD', 'POST'] } as const;

/** Only the agent that a service is registered with knows its checks. */
function checksOf(topology: Topology, proxy: Instance): ExposedPath[] {
  const application = topology
    .instancesById(proxy.proxy?.destination_service_id ?? '')
    .find(({ node, kind, agentLocal }) => node === proxy.node && kind === '' && agentLocal);
  const exposed = (application?.checks ?? []).flatMap((check) => (exposableCheck(check) ? [exposableCheck(check)] : []));
  return exposed.flatMap((check, index) => {
    const listenerPort = FIRST_CHECK_PORT + index;
    return check && listenerPort <= LAST_CHECK_PORT ? [{ ...check, listenerPort, audience: { agentAddress: proxy.nodeAddress } }] : [];
  });
}

function exposableCheck(check: CheckDefinition): Pick<ExposedPath, 'path' | 'protocol' | 'localPort' | 'methods'> | undefined {
  if (check.http && URL.canParse(check.http)) {
    const { pathname, port, protocol } = new URL(check.http);
    const methods = [...new Set([...METHODS.http, ...(check.method ? [check.method.toUpperCase()] : [])])];
    return { path: pathname, protocol: 'http', localPort: Number(port) || (protocol === 'https:' ? 443 : 80), methods };
  }
  const grpcPort = check.grpc ? Number(/:(\d+)(?:\/|$)/.exec(check.grpc)?.[1]) : Number.NaN;
  return grpcPort > 0 ? { path: '/grpc.health.v1.Health/Check', protocol: 'http2', localPort: grpcPort, methods: METHODS.http2 } : undefined;
}

function portTaken(service: string, { path, listenerPort }: ExposedPath): Problem {
  return {
    code: 'exposed-port-taken',
    severity: 'error',
    message: `the sidecar of ${service} cannot expose ${path}: port ${listenerPort} already exposes another path`,
    hint: 'give each exposed path a listener port of its own',
  };
}
