import { type Problem, placeWithin } from '../mesh/problem.ts';
import type { ServiceDefinition } from '../mesh/schema/service.ts';
import type { Placed } from './parse-mesh-file.ts';

/** Consul's defaults of `ports.sidecar_min_port` and `sidecar_max_port`. */
const FIRST_SIDECAR_PORT = 21_000;
const LAST_SIDECAR_PORT = 21_255;

/**
 * The port of every sidecar on a node: the one it asks for, or else the first that is free from 21000 on, in the order of writing.
 * What anyone on the node asks for is taken first, so that a file's order makes no conflicts.
 */
export function assignSidecarPorts(services: readonly Placed<ServiceDefinition>[]): {
  readonly portOf: (service: Placed<ServiceDefinition>) => number;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const taken = new Set(services.flatMap(({ value }) => [value.port ?? 0, value.connect?.sidecar_service?.port ?? 0]));
  const ports = new Map<Placed<ServiceDefinition>, number>();
  for (const service of services) {
    const sidecar = service.value.connect?.sidecar_service;
    if (!sidecar) continue;
    const port = sidecar.port || firstFree(taken);
    if (port === undefined) problems.push(noPortLeft(service));
    else taken.add(port);
    ports.set(service, port ?? 0);
  }
  return { portOf: (service) => ports.get(service) ?? 0, problems: [...problems, ...conflicts(services)] };
}

function firstFree(taken: ReadonlySet<number>): number | undefined {
  for (let port = FIRST_SIDECAR_PORT; port <= LAST_SIDECAR_PORT; port++) if (!taken.has(port)) return port;
  return undefined;
}

function noPortLeft({ value, place }: Placed<ServiceDefinition>): Problem {
  return {
    code: 'no-sidecar-port',
    severity: 'error',
    message: `no port from ${FIRST_SIDECAR_PORT} to ${LAST_SIDECAR_PORT} is left for the sidecar of "${value.id ?? value.name}"`,
    place,
    hint: 'give sidecars ports of their own',
  };
}

/** Two proxies cannot listen on the same address and port. */
function conflicts(services: readonly Placed<ServiceDefinition>[]): Problem[] {
  const owners = new Map<string, string>();
  return services.flatMap(({ value, place }) => {
    const sidecar = value.connect?.sidecar_service;
    const explicit = value.kind === 'connect-proxy' ? value : undefined;
    const port = sidecar?.port || explicit?.port;
    if (!port) return [];
    const address = sidecar?.address ?? value.address ?? '';
    const id = value.id ?? value.name;
    const owner = owners.get(`${address}:${port}`);
    if (owner === undefined) {
      owners.set(`${address}:${port}`, id);
      return [];
    }
    const at = placeWithin(place, sidecar ? ['connect', 'sidecar_service', 'port'] : ['port']) ?? place;
    const message = `the proxy of "${id}" wants port ${port}, which the proxy of "${owner}" on this node has`;
    return [{ code: 'port-conflict', severity: 'error' as const, message, place: at, hint: 'choose another port, or leave "port" out' }];
  });
}
