/**
 * A bounded number of places that clients take and give back. A client that has all of its places, or the one with the most when all are
 * taken, loses its oldest one to the next that comes: who holds many places cannot keep out who needs one.
 */
export class Places<Holder> {
  readonly #most: number;
  readonly #mostPerClient: number;
  readonly #evict: (holder: Holder) => void;
  /** Client → what it holds, oldest first. */
  readonly #held = new Map<string, Set<Holder>>();
  #taken = 0;

  /** @param evict ends the holder of a place that goes to another; it has given its place back already */
  constructor(options: { most: number; mostPerClient: number; evict: (holder: Holder) => void }) {
    this.#most = options.most;
    this.#mostPerClient = options.mostPerClient;
    this.#evict = options.evict;
  }

  get taken(): number {
    return this.#taken;
  }

  take(client: string, holder: Holder): void {
    const own = this.#held.get(client)?.size ?? 0;
    if (own >= this.#mostPerClient) this.#evictOldest(client);
    else if (this.#taken >= this.#most) this.#evictOldest(this.#greediest() ?? client);
    const holders = this.#held.get(client) ?? new Set();
    this.#held.set(client, holders.add(holder));
    this.#taken++;
  }

  give(client: string, holder: Holder): void {
    const holders = this.#held.get(client);
    if (!holders?.delete(holder)) return;
    this.#taken--;
    if (holders.size === 0) this.#held.delete(client);
  }

  #evictOldest(client: string): void {
    for (const holder of this.#held.get(client) ?? []) {
      this.give(client, holder);
      this.#evict(holder);
      return;
    }
  }

  #greediest(): string | undefined {
    let greediest: string | undefined;
    let most = 0;
    for (const [client, { size }] of this.#held) {
      if (size <= most) continue;
      most = size;
      greediest = client;
    }
    return greediest;
  }
}
