import type { ControlPlane } from './control-plane.ts';
import type { Host } from './world.ts';

/** A service instance on a host, as a test describes it. */
export interface LabService {
  name: string;
  host: Host;
  port: number;
  /** Default tcp. */
  protocol?: 'http' | 'tcp';
  /** Default: the host's name. */
  id?: string;
  /** Instances are dialed by their addresses. */
  dialedDirectly?: boolean;
  /** Goes into the sidecar's `proxy`, beside `mode: transparent`. */
  proxy?: object;
  /** More fields of the service definition. */
  more?: object;
}

export type Source = { name: string; action?: 'allow' | 'deny'; permissions?: object[] };

/**
 * The mesh of a test, changed by methods and written to the control plane's mesh file as a whole. Every change returns the moment of
 * the file's rename, from which effects are counted.
 */
export class LabMesh {
  readonly services: LabService[];
  readonly #control: ControlPlane;
  readonly #intentions: Record<string, Source[]>;
  readonly #entries = new Map<string, object>();
  readonly #defaultPolicy: 'allow' | 'deny';

  constructor(control: ControlPlane, options: { services: LabService[]; intentions: Record<string, Source[]>; defaultPolicy?: 'allow' | 'deny' }) {
    this.#control = control;
    this.services = options.services;
    this.#intentions = options.intentions;
    this.#defaultPolicy = options.defaultPolicy ?? 'deny';
  }

  write(): number {
    return this.#control.writeMesh(this.toFile());
  }

  setIntention(destination: string, sources: Source[]): number {
    this.#intentions[destination] = sources;
    return this.write();
  }

  setEntry(entry: LabEntry): number {
    this.#entries.set(`${entry.kind} ${entry.name}`, entry);
    return this.write();
  }

  removeEntry(kind: string, name: string): number {
    this.#entries.delete(`${kind} ${name}`);
    return this.write();
  }

  addService(service: LabService): number {
    this.services.push(service);
    return this.write();
  }

  removeService(id: string): number {
    this.services.splice(
      this.services.findIndex((service) => idOf(service) === id),
      1,
    );
    return this.write();
  }

  /** Sets or replaces fields of a service definition, `checks` for instance. */
  changeService(id: string, more: object): number {
    const service = this.services.find((candidate) => idOf(candidate) === id);
    if (service) service.more = { ...service.more, ...more };
    return this.write();
  }

  toFile(): object {
    return {
      trust_domain: trustDomain,
      default_intention_policy: this.#defaultPolicy,
      nodes: nodesOf(this.services),
      config_entries: [...this.#defaults(), ...this.#intentionEntries(), ...this.#entries.values()],
    };
  }

  #defaults(): object[] {
    const byName = new Map(this.services.map((service) => [service.name, service]));
    return [...byName.values()].map(({ name, protocol = 'tcp', dialedDirectly }) => ({
      kind: 'service-defaults',
      name,
      protocol,
      ...(dialedDirectly ? { transparent_proxy: { dialed_directly: true } } : {}),
    }));
  }

  #intentionEntries(): object[] {
    return Object.entries(this.#intentions).map(([name, sources]) => ({ kind: 'service-intentions', name, sources }));
  }
}

export interface LabEntry {
  kind: string;
  name: string;
  [field: string]: unknown;
}

export const trustDomain = '11111111-2222-3333-4444-555555555555.consul';

export function spiffeId(service: string): string {
  return `spiffe://${trustDomain}/ns/default/dc/dc1/svc/${service}`;
}

export function idOf(service: LabService): string {
  return service.id ?? service.host.name;
}

/** One node per host; a second service on a host gets the next inbound port. */
function nodesOf(services: LabService[]): object[] {
  const hosts = [...new Set(services.map((service) => service.host))];
  return hosts.map((host) => ({
    name: `vm-${host.name}`,
    address: host.ipv4,
    services: services
      .filter((service) => service.host === host)
      .map((service, index) => ({
        name: service.name,
        id: idOf(service),
        port: service.port,
        connect: { sidecar_service: { port: 21_000 + index, proxy: { mode: 'transparent', ...service.proxy } } },
        ...service.more,
      })),
  }));
}
