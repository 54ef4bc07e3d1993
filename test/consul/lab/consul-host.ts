import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Agent } from '../../envoy/lab/agent.ts';
import { eventually, Hopeless } from '../../envoy/lab/eventually.ts';
import { inside, type NetworkHost } from '../../envoy/lab/network.ts';
import { LabProcess } from '../../envoy/lab/process.ts';
import { findConsul } from './consul-binary.ts';

/** A real Consul server on a host of its own, on its usual ports. It is asked from its own host, whatever the network does. */
export class ConsulHost {
  readonly #host: NetworkHost;
  readonly #operator: Agent;
  readonly #token: string | undefined;

  /** @param token the management token, with ACLs */
  static async start(host: NetworkHost, folder: string, options: { config?: object; token?: string } = {}): Promise<ConsulHost> {
    mkdirSync(folder);
    const file = path.join(folder, 'agent.json');
    const settings = {
      server: true,
      bootstrap_expect: 1,
      node_name: host.name,
      bind_addr: host.ipv4,
      client_addr: '0.0.0.0',
      data_dir: path.join(folder, 'data'),
    };
    const rest = { ports: { dns: -1 }, default_intention_policy: 'deny', disable_update_check: true, performance: { raft_multiplier: 1 }, ...options.config };
    writeFileSync(file, JSON.stringify({ ...settings, ...rest }));
    const agent = new LabProcess(host.namespace, 0, [findConsul() ?? 'consul', 'agent', `-config-file=${file}`, '-log-level=warn']);
    const consul = new ConsulHost(host, options.token);
    await eventually(
      async () => {
        if (agent.hasEnded) throw new Hopeless(`Consul has ended: ${agent.complaint}`);
        await consul.put('/v1/kv/ready', 'yes');
      },
      { deadlineMs: 300_000, everyMs: 100 },
    );
    return consul;
  }

  private constructor(host: NetworkHost, token: string | undefined) {
    this.#host = host;
    this.#operator = new Agent(host.namespace, 0, '127.0.0.1');
    this.#token = token;
  }

  async put(where: string, body: unknown): Promise<void> {
    const headers: Record<string, string> = this.#token === undefined ? {} : { 'x-consul-token': this.#token };
    const outcome = await this.#operator.http({ host: '127.0.0.1', port: 8_500, path: where, method: 'PUT', headers, body: JSON.stringify(body) });
    if (outcome.status !== 200) throw new Error(`${where}: ${outcome.status ?? outcome.error} ${outcome.body ?? ''}`);
  }

  /** The `consul` command on that host. */
  cli(...args: string[]): string {
    const token = this.#token === undefined ? [] : ['env', `CONSUL_HTTP_TOKEN=${this.#token}`];
    const [command = 'false', ...rest] = [...token, findConsul() ?? 'consul', ...args];
    return inside(this.#host.namespace, command, ...rest);
  }

  /** A service with its sidecar on a host without an agent; they meet over its loopback, so no link is needed between sidecars. */
  async registerSidecar(name: string, port: number, inbound: number, upstreams: Readonly<Record<string, number>> = {}): Promise<void> {
    const node = { Node: 'near', Address: '127.0.0.1' };
    await this.put('/v1/catalog/register', { ...node, Service: { Service: name, Port: port } });
    const proxy = {
      DestinationServiceName: name,
      DestinationServiceID: name,
      LocalServiceAddress: '127.0.0.1',
      LocalServicePort: port,
      Upstreams: Object.entries(upstreams).map(([DestinationName, LocalBindPort]) => ({ DestinationName, LocalBindPort })),
    };
    await this.put('/v1/catalog/register', { ...node, Service: { Kind: 'connect-proxy', Service: `${name}-sidecar-proxy`, Port: inbound, Proxy: proxy } });
  }
}
