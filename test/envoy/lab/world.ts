import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Agent } from './agent.ts';
import { Capture } from './capture.ts';
import { ControlPlane, grpcPort } from './control-plane.ts';
import { adsumProgram, labEnvoy, labNode } from './envoy-binary.ts';
import { appUid, commandInside, inside, Network, type NetworkHost, proxyUid } from './network.ts';
import { LabProcess } from './process.ts';
import { Sidecar } from './sidecar.ts';

export interface WorldOptions {
  /** Envoy for every sidecar of this world, default the machine's or the pinned 1.36. */
  envoyVersion?: string;
  /** Flags for `adsum serve` in place of --insecure-plaintext and --allow-anonymous. */
  serveFlags?: string[];
}

export interface SidecarOptions {
  /** The proxied service's ID. */
  serviceId: string;
  /** Default 21000. */
  inboundPort?: number;
  /** false: none. A list: additional flags of redirect-traffic. Default: redirect without additional flags. */
  redirect?: false | string[];
  /** Additional flags of `adsum envoy`. */
  flags?: string[];
  /** RLIMIT_NOFILE of the sidecar, default the machine's. */
  openFiles?: number;
  /** `--admin-bind`; null: whatever `adsum envoy` does by itself. Default 127.0.0.1:19000. */
  adminBind?: string | null;
}

/** A few hosts with applications, sidecars and a control plane: what one test file works with. `close` removes all of it. */
export class World {
  readonly network = new Network();
  readonly folder: string;
  readonly control: ControlPlane;
  readonly hosts = new Map<string, Host>();
  readonly #envoy: string;
  #captures = 0;

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.host('control').app.ping();
    return world;
  }

  private constructor(options: WorldOptions) {
    // The users of this world read what a test writes for them, whatever the umask is here.
    process.umask(0o022);
    this.#envoy = labEnvoy(options.envoyVersion).binary;
    this.folder = mkdtempSync(path.join(tmpdir(), 'adsum-lab-'));
    chmodSync(this.folder, 0o755);
    const host = this.host('control');
    this.control = new ControlPlane({ namespace: host.namespace, address: host.ipv4, folder: this.folder, agent: host.app, flags: options.serveFlags });
  }

  /** The host of that name, made at its first mention. */
  host(name: string): Host {
    const known = this.hosts.get(name);
    if (known) return known;
    const host = new Host(this.network.addHost(name), this.network, { controlPlane: this.network.hosts[0]?.ipv4 ?? '', envoy: this.#envoy });
    this.hosts.set(name, host);
    return host;
  }

  /** Records what goes from host to host; the filter is tcpdump's. */
  capture(filter: string): Promise<Capture> {
    this.#captures += 1;
    return Capture.start(this.network.bridge, path.join(this.folder, `capture-${this.#captures}.pcap`), filter);
  }

  close(): void {
    this.network.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One machine of the world: its application under one user, its sidecar under another. */
export class Host {
  readonly name: string;
  readonly namespace: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly app: Agent;
  sidecar: Sidecar | undefined;
  readonly #network: Network;
  readonly #own: NetworkHost;
  readonly #surroundings: { controlPlane: string; envoy: string };

  constructor(own: NetworkHost, network: Network, surroundings: { controlPlane: string; envoy: string }) {
    this.name = own.name;
    this.namespace = own.namespace;
    this.ipv4 = own.ipv4;
    this.ipv6 = own.ipv6;
    this.#own = own;
    this.#network = network;
    this.#surroundings = surroundings;
    this.app = this.agent();
  }

  /** Another application of this host, under a user of its own. */
  agent(uid: number = appUid): Agent {
    return new Agent(this.namespace, uid, `${this.#surroundings.controlPlane}:53`);
  }

  addAddress(address: string): void {
    this.#network.addAddress(this.#own, address);
  }

  /** Runs a command here as root; throws when it fails. */
  run(command: string, ...args: string[]): string {
    return inside(this.namespace, command, ...args);
  }

  redirect(inboundPort = 21_000, flags: string[] = []): string {
    return this.run(process.execPath, adsumProgram, 'redirect-traffic', '--proxy-uid', `${proxyUid}`, '--proxy-inbound-port', `${inboundPort}`, ...flags);
  }

  undoRedirect(): string {
    return this.run(process.execPath, adsumProgram, 'redirect-traffic', '--undo');
  }

  /** Redirects (unless told not to) and starts an Envoy through `adsum envoy`; does not wait for it. */
  startSidecar(options: SidecarOptions): Sidecar {
    const { serviceId, inboundPort = 21_000, redirect = [], flags = [], openFiles, adminBind = '127.0.0.1:19000' } = options;
    if (redirect) this.redirect(inboundPort, redirect);
    const { controlPlane, envoy } = this.#surroundings;
    const where = ['--grpc-addr', `${controlPlane}:${grpcPort}`, ...(adminBind ? ['--admin-bind', adminBind] : []), '--envoy-binary', envoy];
    const limited = openFiles ? ['prlimit', `--nofile=${openFiles}`] : [];
    const command = [...limited, labNode, adsumProgram, 'envoy', '--sidecar-for', serviceId, ...where, ...flags, '--', '--concurrency', '2'];
    this.sidecar = new Sidecar(this.namespace, proxyUid, command, this.app);
    return this.sidecar;
  }

  /** A process of this host under a user of its choice, for what the lab has no word for. */
  start(uid: number, ...command: string[]): LabProcess {
    return new LabProcess(this.namespace, uid, command);
  }

  /** The command line that would run something here, for messages. */
  commandLine(uid: number, command: string[]): string {
    return commandInside(this.namespace, uid, command).join(' ');
  }
}
