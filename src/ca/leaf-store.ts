import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Authority, Leaf } from './authority.ts';
import type { LeafArchive } from './leaf-archive.ts';

/** A leaf is renewed at a random point of this part of its life, so that a fleet started at once does not renew at once. */
const RENEW_FROM = 0.6;
const RENEW_TO = 0.9;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 5 * 60_000;
/** Deadlines are looked at no less often than this: timers stand still while a machine sleeps, certificates do not. */
const LONGEST_WAIT_MS = 60_000;

export interface LeafStoreOptions {
  readonly ca: Pick<Authority, 'issueLeaf' | 'onChange' | 'signerId' | 'spiffeIdOf' | 'trusts'>;
  /** Where leaves outlive a restart; without it each start issues new ones. */
  readonly archive?: Pick<LeafArchive, 'load' | 'save' | 'prune'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** After a change of the signer all leaves are renewed, spread over this time; default 5 s. */
  readonly spreadMs?: number;
}

interface Entry {
  leaf?: Leaf;
  /** When the next leaf is to be issued; infinite while one is on its way. */
  renewAt: number;
  failures: number;
  issuing?: Promise<Leaf>;
}

/** One leaf per service in use, shared by all its sidecars and renewed in time. An expired leaf is never handed out. */
export class LeafStore {
  readonly #options: LeafStoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(service: string) => void>();
  readonly #stopListening: () => void;
  #cancelTimer = () => {};
  #wakeAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: LeafStoreOptions) {
    this.#options = options;
    this.#stopListening = options.ca.onChange((change) => {
      if (change === 'signer') this.#renewForNewSigner();
    });
    options.archive?.prune(options.clock.now());
  }

  /** The current leaf; `undefined` before `ensure`, or when it expired because none could be issued. */
  get(service: string): Leaf | undefined {
    const leaf = this.#entries.get(service)?.leaf;
    return leaf && leaf.notAfter > this.#options.clock.now() ? leaf : undefined;
  }

  /**
   * Puts a service in use. Resolves at once when it has a leaf. Rejects when the first attempt fails; the store goes on
   * trying, and `onRenewed` tells of success.
   */
  async ensure(service: string): Promise<Leaf> {
    const leaf = this.get(service);
    if (leaf) return leaf;
    const entry = this.#entries.get(service) ?? { renewAt: Number.POSITIVE_INFINITY, failures: 0 };
    this.#entries.set(service, entry);
    const kept = entry.leaf ? undefined : this.#loadKept(service);
    if (kept) {
      this.#take(entry, kept);
      this.#wakeBy(entry.renewAt);
      return kept;
    }
    return this.#issue(service, entry, () => {});
  }

  /** When the first of the leaves in use expires, in milliseconds since the epoch; undefined without any. */
  earliestExpiry(): number | undefined {
    const ends = [...this.#entries.values()].flatMap(({ leaf }) => leaf?.notAfter ?? []);
    return ends.length > 0 ? Math.min(...ends) : undefined;
  }

  /** Forgets every service that is not in the set. */
  retainOnly(services: ReadonlySet<string>): void {
    for (const service of this.#entries.keys()) if (!services.has(service)) this.#entries.delete(service);
  }

  /** Called with the service whenever its leaf was replaced, or came after a failed `ensure`. @returns stops listening */
  onRenewed(listener: (service: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when nothing is being issued. */
  async settled(): Promise<void> {
    for (;;) {
      const pending = [...this.#entries.values()].flatMap((entry) => entry.issuing ?? []);
      if (pending.length === 0) return;
      await Promise.allSettled(pending);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    this.#stopListening();
    this.#entries.clear();
    this.#listeners.clear();
  }

  #issue(service: string, entry: Entry, announce: () => void): Promise<Leaf> {
    entry.issuing ??= this.#issueOnce(service, entry).finally(() => {
      delete entry.issuing;
      this.#wakeBy(entry.renewAt);
    });
    return entry.issuing.then((leaf) => {
      if (this.#entries.get(service) === entry) announce();
      return leaf;
    });
  }

  async #issueOnce(service: string, entry: Entry): Promise<Leaf> {
    const { ca, clock, logger, random } = this.#options;
    entry.renewAt = Number.POSITIVE_INFINITY;
    try {
      const leaf = await ca.issueLeaf(service);
      this.#take(entry, leaf);
      this.#options.archive?.save(leaf);
      logger.debug({ service, serial: leaf.serial, root: leaf.rootId, not_after: new Date(leaf.notAfter).toISOString() }, 'issued a certificate');
      return leaf;
    } catch (error) {
      const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** entry.failures) * (0.5 + random() / 2);
      entry.failures += 1;
      entry.renewAt = clock.now() + delayMs;
      const fields = { service, error: (error as Error).message, retry_in_ms: Math.round(delayMs) };
      if (this.#entries.get(service) === entry) logger.error(fields, 'cannot issue a certificate');
      throw error;
    }
  }

  /** A leaf from an earlier run, if it is still this service's and trusted. */
  #loadKept(service: string): Leaf | undefined {
    const { archive, ca, clock } = this.#options;
    const leaf = archive?.load(service);
    return leaf && leaf.notAfter > clock.now() && ca.trusts(leaf.rootId) && leaf.spiffeId === ca.spiffeIdOf(service) ? leaf : undefined;
  }

  #take(entry: Entry, leaf: Leaf): void {
    entry.leaf = leaf;
    entry.failures = 0;
    // The signer may have changed while this one was being signed, or since it was kept.
    entry.renewAt = leaf.rootId === this.#options.ca.signerId ? this.#renewalTime(leaf) : this.#soon();
  }

  #renewalTime(leaf: Leaf): number {
    const part = RENEW_FROM + (RENEW_TO - RENEW_FROM) * this.#options.random();
    return leaf.notBefore + (leaf.notAfter - leaf.notBefore) * part;
  }

  #soon(): number {
    return this.#options.clock.now() + this.#options.random() * (this.#options.spreadMs ?? 5_000);
  }

  #renewForNewSigner(): void {
    for (const entry of this.#entries.values()) {
      if (entry.leaf && !entry.issuing) entry.renewAt = Math.min(entry.renewAt, this.#soon());
    }
    this.#wakeBy(this.#nextRenewal());
  }

  #nextRenewal(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { renewAt } of this.#entries.values()) next = Math.min(next, renewAt);
    return next;
  }

  #renewDue(): void {
    const now = this.#options.clock.now();
    for (const [service, entry] of this.#entries) {
      if (entry.renewAt > now) continue;
      const announce = () => {
        for (const listener of [...this.#listeners]) listener(service);
      };
      // A failure is logged and scheduled again where it happens.
      this.#issue(service, entry, announce).catch(() => {});
    }
    this.#wakeBy(this.#nextRenewal());
  }

  /** Wakes up at that time at the latest. */
  #wakeBy(at: number): void {
    if (this.#closed || at === Number.POSITIVE_INFINITY) return;
    const now = this.#options.clock.now();
    const wakeAt = Math.min(at, now + LONGEST_WAIT_MS);
    if (wakeAt >= this.#wakeAt) return;
    this.#cancelTimer();
    this.#wakeAt = wakeAt;
    this.#cancelTimer = this.#options.clock.after(Math.max(0, wakeAt - now), () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#renewDue();
    });
  }
}
