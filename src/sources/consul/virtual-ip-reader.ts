import { z } from 'zod';
import { type ConsulClient, ConsulError } from './consul-client.ts';

/** The virtual IPs that Consul gave one service name. */
export interface ServiceVirtualIps {
  readonly automatic: readonly string[];
  readonly manual: readonly string[];
}

const answer = z.object({
  Chain: z.object({ AutoVirtualIPs: z.array(z.string()).nullish(), ManualVirtualIPs: z.array(z.string()).nullish() }),
});

interface Known {
  readonly addresses: ServiceVirtualIps;
  /** Indexes at which what holds the address was created; while one of them stays, Consul cannot have given it away. */
  readonly holders: ReadonlySet<number>;
}

/** Reads at once, at the most. */
const CONCURRENCY = 8;

/**
 * The virtual IPs of names, out of their compiled discovery chains: the only place of Consul's HTTP API that has them all. Consul
 * wakes no query when one changes, so a name is read when it appears or when nothing of what held its address is left; manual ones
 * are found by reading every name again now and then (`refresh`).
 */
export class VirtualIpReader {
  readonly #client: ConsulClient;
  #known = new Map<string, Known>();

  constructor(client: ConsulClient) {
    this.#client = client;
  }

  get known(): ReadonlyMap<string, ServiceVirtualIps> {
    return new Map([...this.#known].map(([name, { addresses }]) => [name, addresses]));
  }

  /** Everything is read again: Consul may be another. */
  forget(): void {
    this.#known = new Map([...this.#known].map(([name, known]) => [name, { ...known, holders: new Set<number>() }]));
  }

  /**
   * Reads what is missing and drops what nobody holds any more.
   * @throws ConsulError when Consul cannot be asked; what was known stays
   */
  async ensure(wanted: ReadonlyMap<string, ReadonlySet<number>>, signal: AbortSignal): Promise<void> {
    const names = [...wanted].filter(([name, holders]) => !stillHeld(this.#known.get(name), holders)).map(([name]) => name);
    const read = await this.#readAll(names, signal);
    const next = new Map<string, Known>();
    for (const [name, holders] of wanted) {
      const addresses = read.get(name) ?? this.#known.get(name)?.addresses;
      if (addresses) next.set(name, { addresses, holders });
    }
    this.#known = next;
  }

  /** Reads one name again. @returns whether it changed */
  async refresh(name: string, signal: AbortSignal): Promise<boolean> {
    const before = this.#known.get(name);
    if (!before) return false;
    const addresses = await this.#read(name, signal);
    if (this.#known.get(name) !== before || JSON.stringify(addresses) === JSON.stringify(before.addresses)) return false;
    this.#known.set(name, { ...before, addresses });
    return true;
  }

  async #readAll(names: readonly string[], signal: AbortSignal): Promise<Map<string, ServiceVirtualIps>> {
    const results = new Map<string, ServiceVirtualIps>();
    const left = names.values();
    const worker = async () => {
      for (const name of left) results.set(name, await this.#read(name, signal));
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, names.length) }, worker));
    return results;
  }

  async #read(name: string, signal: AbortSignal): Promise<ServiceVirtualIps> {
    const { body } = await this.#client.request({ path: `/discovery-chain/${encodeURIComponent(name)}`, signal });
    const parsed = answer.safeParse(body);
    if (!parsed.success) throw new ConsulError(`the discovery chain of ${name} cannot be read`);
    const { AutoVirtualIPs, ManualVirtualIPs } = parsed.data.Chain;
    return { automatic: AutoVirtualIPs ?? [], manual: ManualVirtualIPs ?? [] };
  }
}

function stillHeld(known: Known | undefined, holders: ReadonlySet<number>): boolean {
  if (!known) return false;
  for (const holder of known.holders) if (holders.has(holder)) return true;
  return false;
}
