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
  /** The leaf was not valid yet, or not any more, by the clock of this machine when it came: the authority's clock shows another time. */
  foreignTime: boolean;
  /** When the leaf is to be renewed by its own times, on the clock of the day. */
  renewAt: number;
  /** When one is to be issued whatever the times of the leaf, on the monotonic clock: after a failure, or for a new signer. */
  dueAt: number;
  failures: number;
  issuing?: Promise<Leaf>;
}

/** An authority whose clock shows another time is not asked more often, though nothing that it issues is valid here. */
const FOREIGN_TIME_REST_MS = 60_000;

/** One leaf per service in use, shared by all its sidecars and renewed in time. A leaf that has expired, or is not valid yet, is never handed out. */
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
    const entry = this.#entries.get(service);
    return entry && this.#isCurrent(entry) ? entry.leaf : undefined;
  }

  /** The time of day was set: what was valid may not be. Looks at every leaf at once. */
  clockJumped(): void {
    for (const entry of this.#entries.values()) if (entry.failures > 0) entry.dueAt = this.#options.clock.monotonic();
    this.#renewDue();
  }

  /**
   * Puts a service in use. Resolves at once when it has a leaf. Rejects when the first attempt fails; the store goes on
   * trying, and `onRenewed` tells of success.
   */
  async ensure(service: string): Promise<Leaf> {
    const leaf = this.get(service);
    if (leaf) return leaf;
    const entry = this.#entries.get(service) ?? { foreignTime: false, renewAt: Number.POSITIVE_INFINITY, dueAt: Number.POSITIVE_INFINITY, failures: 0 };
    this.#entries.set(service, entry);
    const kept = entry.leaf ? undefined : this.#loadKept(service);
    if (kept) {
      this.#take(entry, kept);
      this.#wakeIn(this.#delayOf(entry));
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
      this.#wakeIn(this.#delayOf(entry));
    });
    return entry.issuing.then((leaf) => {
      if (this.#entries.get(service) === entry) announce();
      return leaf;
    });
  }

  async #issueOnce(service: string, entry: Entry): Promise<Leaf> {
    const { ca, clock, logger, random } = this.#options;
    try {
      const leaf = await ca.issueLeaf(service);
      this.#take(entry, leaf);
      this.#options.archive?.save(leaf);
      logger.debug({ service, serial: leaf.serial, root: leaf.rootId, not_after: new Date(leaf.notAfter).toISOString() }, 'issued a certificate');
      return leaf;
    } catch (error) {
      const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** entry.failures) * (0.5 + random() / 2);
      entry.failures += 1;
      entry.dueAt = clock.monotonic() + delayMs;
      const fields = { service, error: (error as Error).message, retry_in_ms: Math.round(delayMs) };
      if (this.#entries.get(service) === entry) logger.error(fields, 'cannot issue a certificate');
      throw error;
    }
  }

  /** A leaf from an earlier run, if it is still this service's and trusted. */
  #loadKept(service: string): Leaf | undefined {
    const { archive, ca, clock } = this.#options;
    const leaf = archive?.load(service);
    return leaf && isValid(leaf, clock.now()) && ca.trusts(leaf.rootId) && leaf.spiffeId === ca.spiffeIdOf(service) ? leaf : undefined;
  }

  #take(entry: Entry, leaf: Leaf): void {
    entry.leaf = leaf;
    entry.failures = 0;
    const { clock } = this.#options;
    entry.foreignTime = !isValid(leaf, clock.now());
    entry.renewAt = entry.foreignTime ? Number.POSITIVE_INFINITY : this.#renewalTime(leaf);
    // The signer may have changed while this one was being signed, or since it was kept.
    entry.dueAt = leaf.rootId === this.#options.ca.signerId ? Number.POSITIVE_INFINITY : this.#soon();
    if (entry.foreignTime) entry.dueAt = clock.monotonic() + FOREIGN_TIME_REST_MS;
  }

  #renewalTime(leaf: Leaf): number {
    const part = RENEW_FROM + (RENEW_TO - RENEW_FROM) * this.#options.random();
    return leaf.notBefore + (leaf.notAfter - leaf.notBefore) * part;
  }

  #soon(): number {
    return this.#options.clock.monotonic() + this.#options.random() * (this.#options.spreadMs ?? 5_000);
  }

  #renewForNewSigner(): void {
    for (const entry of this.#entries.values()) {
      if (entry.leaf && !entry.issuing) entry.dueAt = Math.min(entry.dueAt, this.#soon());
    }
    this.#wakeIn(this.#nextDelay());
  }

  /** What comes from an authority whose clock is ahead of ours is as good as can be had; what that of this machine made is not. */
  #isCurrent({ leaf, foreignTime }: Entry): boolean {
    const now = this.#options.clock.now();
    return leaf !== undefined && leaf.notAfter > now && (leaf.notBefore <= now || foreignTime);
  }

  /** How long until a leaf is to be issued for this entry; infinite while one is on its way. */
  #delayOf(entry: Entry): number {
    const { clock } = this.#options;
    if (entry.issuing) return Number.POSITIVE_INFINITY;
    const byOrder = entry.dueAt - clock.monotonic();
    if (!entry.leaf || entry.failures > 0 || entry.foreignTime) return byOrder;
    return Math.min(byOrder, this.#isCurrent(entry) ? entry.renewAt - clock.now() : 0);
  }

  #nextDelay(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) next = Math.min(next, this.#delayOf(entry));
    return next;
  }

  #renewDue(): void {
    for (const [service, entry] of this.#entries) {
      if (this.#delayOf(entry) > 0) continue;
      const announce = () => {
        for (const listener of [...this.#listeners]) listener(service);
      };
      // A failure is logged and scheduled again where it happens.
      this.#issue(service, entry, announce).catch(() => {});
    }
    this.#wakeIn(this.#nextDelay());
  }

  /** Wakes up after that time at the latest. */
  #wakeIn(delayMs: number): void {
    if (this.#closed || delayMs === Number.POSITIVE_INFINITY) return;
    const now = this.#options.clock.monotonic();
    const wakeAt = now + Math.min(delayMs, LONGEST_WAIT_MS);
    if (wakeAt >= this.#wakeAt) return;
    this.#cancelTimer();
    this.#wakeAt = wakeAt;
    this.#cancelTimer = this.#options.clock.after(Math.max(0, wakeAt - now), () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#renewDue();
    });
  }
}

function isValid({ notBefore, notAfter }: Leaf, now: number): boolean {
  return notBefore <= now && now < notAfter;
}
