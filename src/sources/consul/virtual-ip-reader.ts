import { z } from 'zod';
import type { Problem } from '../../mesh/problem.ts';
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

/** A chain that fails this often in a row, some eight seconds, while the rest can be read, is broken; it must not hold up the others. */
const MOST_FAILURES = 6;
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
  /** Name → failures in a row, and the last reason. */
  readonly #failures = new Map<string, { readonly count: number; readonly reason: string }>();

  constructor(client: ConsulClient) {
    this.#client = client;
  }

  get known(): ReadonlyMap<string, ServiceVirtualIps> {
    return new Map([...this.#known].map(([name, { addresses }]) => [name, addresses]));
  }

  /** Names whose addresses cannot be read. */
  get problems(): readonly Problem[] {
    return [...this.#failures]
      .filter(([, { count }]) => count >= MOST_FAILURES)
      .map(([name, { reason }]) => ({ code: 'virtual-ip-unreadable', severity: 'error', message: reason, place: { object: `service ${name}` } }));
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
    for (const name of this.#failures.keys()) if (!wanted.has(name)) this.#failures.delete(name);
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
      for (const name of left) {
        const addresses = await this.#readOrSkip(name, signal);
        if (addresses) results.set(name, addresses);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, names.length) }, worker));
    return results;
  }

  /** Undefined: it was refused too often to wait for. */
  async #readOrSkip(name: string, signal: AbortSignal): Promise<ServiceVirtualIps | undefined> {
    try {
      const addresses = await this.#read(name, signal);
      this.#failures.delete(name);
      return addresses;
    } catch (error) {
      if (!(error instanceof ConsulError) || error.status === undefined) throw error;
      const count = (this.#failures.get(name)?.count ?? 0) + 1;
      this.#failures.set(name, { count, reason: error.message });
      if (count < MOST_FAILURES) throw error;
      return undefined;
    }
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
