import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { eventually, Hopeless } from '../../envoy/lab/eventually.ts';
import { freePort } from '../../feature/run-adsum.ts';
import { findConsul } from './consul-binary.ts';
import { Program, run } from './program.ts';

export interface ConsulOptions {
  /** Its own; state is in it, so a restart finds it again. */
  readonly folder: string;
  /** What the agent's configuration holds beyond a single server on loopback. */
  readonly config?: object;
  /** Beside the usual ones. */
  readonly ports?: Readonly<Record<string, number>>;
  /** Management token, with ACLs. */
  readonly token?: string;
}

/** A real Consul server on loopback, whose ports survive restarts. */
export class ConsulAgent {
  readonly http: string;
  readonly grpc: string;
  /** As `/v1/status/leader` names it. */
  readonly server: string;
  readonly token: string | undefined;
  readonly #folder: string;
  readonly #binary: string;
  #process: Program | undefined;

  static async start(options: ConsulOptions): Promise<ConsulAgent> {
    const agent = new ConsulAgent(options, await freePorts());
    await agent.start();
    return agent;
  }

  /** Servers that elect one leader. */
  static async startCluster(folder: string, size: number): Promise<ConsulAgent[]> {
    const ports = await Promise.all(Array.from({ length: size }, freePorts));
    const retry_join = ports.map(({ serf_lan }) => `127.0.0.1:${serf_lan}`);
    const agents = ports.map((own, at) => {
      const config = { node_name: `consul-${at}`, bootstrap_expect: size, retry_join, retry_interval: '1s', leave_on_terminate: false };
      return new ConsulAgent({ folder: path.join(folder, `consul-${at}`), config }, own);
    });
    await Promise.all(agents.map((agent) => agent.start()));
    return agents;
  }

  private constructor({ folder, config, token, ports: more }: ConsulOptions, ports: Awaited<ReturnType<typeof freePorts>>) {
    this.server = `127.0.0.1:${ports.server}`;
    this.#folder = folder;
    this.#binary = findConsul() ?? 'consul';
    this.http = `http://127.0.0.1:${ports.http}`;
    this.grpc = `127.0.0.1:${ports.grpc}`;
    this.token = token;
    mkdirSync(folder, { recursive: true });
    const settings = {
      server: true,
      bootstrap_expect: 1,
      node_name: 'consul-server',
      bind_addr: '127.0.0.1',
      data_dir: path.join(folder, 'data'),
      ports: { ...ports, ...more },
      connect: { enabled: true },
      performance: { raft_multiplier: 1 },
      disable_update_check: true,
      log_level: 'warn',
      default_intention_policy: 'deny',
      ...config,
    };
    writeFileSync(path.join(folder, 'agent.json'), JSON.stringify(settings));
  }

  get output(): string {
    return this.#process?.output ?? '';
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts it and waits for a leader, its CA, and virtual IPs. */
  async start(): Promise<void> {
    this.#process = new Program([this.#binary, 'agent', `-config-file=${this.#folder}/agent.json`], { GOMAXPROCS: '2' });
    await eventually(
      async () => {
        if (this.#process?.hasEnded) throw new Hopeless(`Consul has ended: ${this.#process.complaint}`);
        await this.get('/v1/connect/ca/roots');
      },
      { deadlineMs: 300_000, everyMs: 100 },
    );
    await this.#virtualIpsEnabled();
  }

  /** Stops it in its tracks, or lets it go on: it stays connected and says nothing. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, name);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process?.stop(signal);
  }

  /** The `consul` command, against this agent. */
  cli(...args: string[]): Promise<string> {
    return run([this.#binary, ...args], this.environment);
  }

  /** As a user of this Consul would set it. */
  get environment(): Record<string, string> {
    return { CONSUL_HTTP_ADDR: this.http, CONSUL_GRPC_ADDR: this.grpc, ...(this.token ? { CONSUL_HTTP_TOKEN: this.token } : {}) };
  }

  get<T = unknown>(where: string): Promise<T> {
    return this.request<T>('GET', where);
  }

  put<T = unknown>(where: string, body: unknown): Promise<T> {
    return this.request<T>('PUT', where, body);
  }

  async request<T>(method: string, where: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.http}${where}`, {
      method,
      headers: this.token ? { 'x-consul-token': this.token } : {},
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    try {
      return JSON.parse(text) as T;
    } catch {
      return undefined as T;
    }
  }

  /** A new cluster allocates virtual IPs only a moment after its election: nothing may be registered for good before. */
  async #virtualIpsEnabled(): Promise<void> {
    const canary = { Kind: 'connect-proxy', ID: 'canary', Service: 'canary', Port: 1, Proxy: { DestinationServiceName: 'canary' } };
    await eventually(
      async () => {
        await this.put('/v1/catalog/register', { Node: 'canary', Address: '192.0.2.1', Service: canary });
        const [found] = await this.get<{ ServiceTaggedAddresses?: object }[]>('/v1/catalog/service/canary');
        await this.put('/v1/catalog/deregister', { Node: 'canary' });
        if (!found?.ServiceTaggedAddresses || !('consul-virtual' in found.ServiceTaggedAddresses)) throw new Error('virtual IPs are not enabled yet');
      },
      { deadlineMs: 300_000, everyMs: 100 },
    );
  }
}

async function freePorts() {
  return { http: await freePort(), grpc: await freePort(), server: await freePort(), serf_lan: await freePort(), dns: -1, grpc_tls: -1, serf_wan: -1 };
}
