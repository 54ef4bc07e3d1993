import { LabMesh, type LabService, type Source } from './mesh.ts';
import type { Host, SidecarOptions, WorldOptions } from './world.ts';
import { World } from './world.ts';

/** Every service that tests of this folder may ask for, by host. */
const catalog: Record<string, Omit<LabService, 'host'>> = {
  web: { name: 'web', port: 8080, protocol: 'http' },
  api: { name: 'api', port: 8080, protocol: 'http' },
  'api-2': { name: 'api', port: 8080, protocol: 'http' },
  'api-3': { name: 'api', port: 8080, protocol: 'http' },
  ledger: { name: 'ledger', port: 9000 },
  'db-1': { name: 'db', port: 5432, dialedDirectly: true },
  'db-2': { name: 'db', port: 5432, dialedDirectly: true },
};

export interface ShopOptions extends WorldOptions {
  /** Hosts with a service and a sidecar, out of the catalog. */
  hosts: string[];
  /** Hosts that are registered later by the test; their applications and sidecars run from the start. */
  unregistered?: string[];
  /** What holds where no intention says anything, default deny. */
  defaultPolicy?: 'allow' | 'deny';
  /** Default: web may call everything. */
  intentions?: Record<string, Source[]>;
  /** Changes to a catalog service, by host. */
  services?: Record<string, Partial<LabService>>;
  sidecars?: Record<string, Partial<SidecarOptions>>;
}

/** A running mesh: control plane, hosts with applications and sidecars that are LIVE, and a host outside. */
export interface Shop {
  world: World;
  mesh: LabMesh;
  web: Host;
  outsider: Host;
  /** When the last Envoy process was started (epoch, ms). */
  lastEnvoyStartedAtMs: number;
  host(name: string): Host;
  service(host: string): LabService;
  close(): void;
}

export async function openShop(options: ShopOptions): Promise<Shop> {
  const world = await World.create(options);
  try {
    const service = (name: string): LabService => ({ name, port: 8080, ...catalog[name], ...options.services?.[name], host: world.host(name) });
    const registered = options.hosts.map(service);
    const all = [...registered, ...(options.unregistered ?? []).map(service)];
    const destinations = [...new Set(all.map(({ name }) => name))].filter((name) => name !== 'web');
    const intentions = options.intentions ?? Object.fromEntries(destinations.map((name) => [name, [{ name: 'web', action: 'allow' as const }]]));
    const mesh = new LabMesh(world.control, { services: registered, intentions, defaultPolicy: options.defaultPolicy });
    mesh.write();
    await Promise.all([world.control.start(), ...all.map(serve)]);
    const sidecars = all.map(({ host, id }) => host.startSidecar({ serviceId: id ?? host.name, ...options.sidecars?.[host.name] }));
    const lastEnvoyStartedAtMs = Math.max(...sidecars.map(({ startedAtMs }) => startedAtMs));
    // An unregistered proxy waits, so it cannot be LIVE yet.
    await Promise.all(sidecars.slice(0, registered.length).map((sidecar) => sidecar.ready()));
    const outsider = world.host('outsider');
    await outsider.app.ping();
    return { world, mesh, web: world.host('web'), outsider, lastEnvoyStartedAtMs, host: (name) => world.host(name), service, close: () => world.close() };
  } catch (error) {
    world.close();
    throw error;
  }
}

async function serve({ host, port, protocol }: LabService): Promise<void> {
  await host.app.listen({ kind: protocol === 'http' ? 'http' : 'banner', name: host.name, port });
}
