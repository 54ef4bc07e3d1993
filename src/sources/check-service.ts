import { isAddress } from '../mesh/check/address.ts';
import { type Place, type Problem, placeWithin } from '../mesh/problem.ts';
import type { Defect, ValuePath } from '../mesh/schema/parser.ts';
import type { CheckSettings, ServiceDefinition, SidecarProxy } from '../mesh/schema/service.ts';
import type { Placed } from './parse-mesh-file.ts';

/** What a Consul agent refuses of a service definition, beyond what its schema says. */
export function checkService({ value: service, place }: Placed<ServiceDefinition>): Problem[] {
  const sidecar = service.connect?.sidecar_service;
  const atSidecar = ['connect', 'sidecar_service'];
  const defects = [
    ...checkKind(service),
    ...checkAddresses(service, []),
    ...checkProxy(service.proxy, ['proxy']),
    ...(sidecar ? [...checkAddresses(sidecar, atSidecar), ...checkProxy(sidecar.proxy, [...atSidecar, 'proxy'])] : []),
  ];
  const errors = defects.map(({ code, message, path, hint }) => {
    return { code, severity: 'error' as const, message, place: placeWithin(place, path) ?? place, ...(hint ? { hint } : {}) };
  });
  return [...errors, ...checksWithoutStatus(service, place)];
}

function checkKind(service: ServiceDefinition): Defect[] {
  const { kind, connect, proxy } = service;
  const defects: Defect[] = [];
  if (kind && connect?.sidecar_service) {
    defects.push({ code: 'conflicting-fields', message: `a ${kind} has no sidecar`, path: ['connect', 'sidecar_service'], hint: 'leave it out' });
  }
  if (connect?.native && connect.sidecar_service) {
    const message = 'a native service has no sidecar';
    defects.push({ code: 'conflicting-fields', message, path: ['connect', 'native'], hint: 'keep one of "native" and "sidecar_service"' });
  }
  if (kind === 'connect-proxy') {
    if (!proxy?.destination_service_name) {
      const message = 'a connect-proxy must say which service it stands for';
      defects.push({ code: 'missing-field', message, path: ['proxy'], hint: 'add proxy.destination_service_name' });
    }
    if (!service.port && !service.socket_path) {
      defects.push({ code: 'missing-field', message: 'a connect-proxy needs a port', path: [], hint: 'add "port"' });
    }
    if (connect?.native) defects.push({ code: 'conflicting-fields', message: 'a proxy cannot be native', path: ['connect', 'native'], hint: 'leave it out' });
  }
  return defects;
}

const UNSPECIFIED = ['0.0.0.0', '::'];

function checkAddresses({ address, tagged_addresses }: Pick<ServiceDefinition, 'address' | 'tagged_addresses'>, path: ValuePath): Defect[] {
  const all: [string, ValuePath][] = address ? [[address, [...path, 'address']]] : [];
  for (const [name, tagged] of Object.entries(tagged_addresses ?? {})) all.push([tagged.address, [...path, 'tagged_addresses', name]]);
  return all
    .filter(([value]) => !isAddress(value) || UNSPECIFIED.includes(value))
    .map(([value, at]) => ({
      code: 'invalid-address',
      message: UNSPECIFIED.includes(value)
        ? `${value} is no address that others can reach`
        : `${JSON.stringify(value)} is neither an IP address nor a host name`,
      path: at,
      hint: "write an IP address, or leave it out for the node's",
    }));
}

function checkProxy(proxy: SidecarProxy | undefined, path: ValuePath): Defect[] {
  const listeners = new Map<string, string>();
  return (proxy?.upstreams ?? []).flatMap((upstream, index): Defect[] => {
    const at = [...path, 'upstreams', index];
    const { destination_name: name, local_bind_port: port, local_bind_socket_path: socket } = upstream;
    if (port && socket) {
      const message = `upstream "${name}" has a port and a socket`;
      return [{ code: 'conflicting-fields', message, path: [...at, 'local_bind_socket_path'], hint: 'keep one of them' }];
    }
    if (!port && !socket) {
      const hint = 'add "local_bind_port", or leave the upstream out: a transparent proxy reaches it by its virtual IP';
      return [{ code: 'upstream-without-listener', message: `upstream "${name}" has neither port nor socket to listen on`, path: at, hint }];
    }
    const listener = socket ?? `${upstream.local_bind_address ?? '127.0.0.1'}:${port}`;
    const owner = listeners.get(listener);
    listeners.set(listener, name);
    return owner === undefined
      ? []
      : [{ code: 'port-conflict', message: `upstreams "${owner}" and "${name}" both want ${listener}`, path: at, hint: 'choose another port' }];
  });
}

function checksWithoutStatus({ check, checks, connect }: ServiceDefinition, place: Place): Problem[] {
  const sidecar = connect?.sidecar_service;
  const all: [CheckSettings | undefined, ValuePath][] = [
    [check, ['check']],
    ...checks.map((one, index): [CheckSettings, ValuePath] => [one, ['checks', index]]),
    [sidecar?.check, ['connect', 'sidecar_service', 'check']],
    ...(sidecar?.checks ?? []).map((one, index): [CheckSettings, ValuePath] => [one, ['connect', 'sidecar_service', 'checks', index]]),
  ];
  return all.flatMap(([one, path]) => (one ? missingStatus(one, placeWithin(place, path) ?? place) : []));
}

/** adsum runs no checks, so one without a status never becomes better than critical, which surprises. */
export function missingStatus(check: CheckSettings, place: Place): Problem[] {
  if (check.status || check.alias_service) return [];
  const message = 'a check without a status counts as critical: adsum runs no checks itself';
  return [{ code: 'check-without-status', severity: 'warning', message, place, hint: 'add "status: passing"' }];
}
