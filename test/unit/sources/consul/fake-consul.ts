import { type ConsulAnswer, type ConsulClient, ConsulError, type ConsulRequest } from '../../../../src/sources/consul/consul-client.ts';

export const SELF = { Config: { Datacenter: 'dc1', Version: '1.22.7' }, DebugConfig: { DefaultIntentionPolicy: 'deny' } };
export const ROOTS = {
  TrustDomain: 'td.consul',
  Roots: [{ ID: 'r', Active: true, RootCert: 'PEM', NotBefore: '2026-01-01T00:00:00Z', NotAfter: '2036-01-01T00:00:00Z' }],
};
export const api = { ID: 'api', Service: 'api', Port: 9_090, Connect: { Native: true }, CreateIndex: 10, ModifyIndex: 10 };
export const nodesWith = (...services: object[]) => [{ Node: 'vm', Address: '10.0.0.2', Services: services }];

interface Held {
  readonly request: ConsulRequest;
  resolve(answer: ConsulAnswer): void;
  reject(error: Error): void;
}

/** A Consul whose every path has a body and an index; queries for the index it has are held until `set`. */
export class FakeConsul implements ConsulClient {
  readonly address = 'fake';
  readonly connections = 0;
  readonly asked: string[] = [];
  readonly #states = new Map<string, { index: number; body: unknown; more: Partial<ConsulAnswer> }>();
  readonly #held = new Set<Held>();
  readonly #silent = new Set<string>();
  failing = false;

  constructor() {
    this.set('/agent/self', 0, SELF);
    this.set('/connect/ca/roots', 5, ROOTS);
    this.set('/internal/ui/nodes', 10, nodesWith(api));
    this.set('/discovery-chain/api', 10, { Chain: { AutoVirtualIPs: ['240.0.0.1'], ManualVirtualIPs: null } });
  }

  /** Says nothing on this path from now on. */
  silence(path: string): void {
    this.#silent.add(path);
  }

  set(path: string, index: number, body: unknown, more: Partial<ConsulAnswer> = {}): void {
    this.#silent.delete(path);
    this.#states.set(path, { index, body, more });
    for (const held of this.#held) if (held.request.path === path) this.#answer(held);
  }

  request(request: ConsulRequest): Promise<ConsulAnswer> {
    this.asked.push(request.path);
    if (this.failing) return Promise.reject(new ConsulError('no Consul answers'));
    return new Promise((resolve, reject) => {
      const held = { request, resolve, reject };
      request.signal?.addEventListener('abort', () => reject(new ConsulError('given up')), { once: true });
      const { index } = this.#state(request.path);
      if (this.#silent.has(request.path) || (Number(request.query?.index ?? 0) === index && index > 0)) this.#held.add(held);
      else this.#answer(held);
    });
  }

  /** Every query that is held fails, and so does what follows until `failing` is false again. */
  fail(): void {
    this.failing = true;
    for (const held of this.#held) held.reject(new ConsulError('no Consul answers'));
    this.#held.clear();
  }

  count(path: string): number {
    return this.asked.filter((one) => one === path).length;
  }

  close(): void {}

  #state(path: string) {
    return this.#states.get(path) ?? { index: 10, body: [], more: {} };
  }

  #answer(held: Held): void {
    this.#held.delete(held);
    const { index, body, more } = this.#state(held.request.path);
    held.resolve({ status: 200, index, body, bytes: 0, knownLeader: true, lastContactMs: 0, filteredByAcl: false, ...more });
  }
}
