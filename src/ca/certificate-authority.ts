import { randomUUID, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import path from 'node:path';
import type { Realm } from '../mesh/spiffe-id.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Authority, CaChange, Leaf, RootStatus } from './authority.ts';
import { CaError } from './ca-error.ts';
import { CA_STATE_FILE, type CaState, type RootPhase, readCaState, type StoredRoot, writeCaState } from './ca-state.ts';
import { type KeyedCertificate, type Validity, wholeSeconds } from './certificate.ts';
import { createLeaf, loadSigner, type Signer } from './leaf-certificate.ts';
import { countDown, dropRetiredRoots, dropStagedRoot, promoteStagedRoot, signingRoot, stagedRoot, stageRoot, withCountdowns } from './root-rotation.ts';
import { issuableSpiffeId, issuableTrustDomainId } from './spiffe-id.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export interface CaTiming {
  /** Life of a root; default 87600 h, as Consul's `RootCertTTL`. */
  readonly rootTtlMs: number;
  /** Life of a leaf; default 72 h, as Consul's `LeafCertTTL`. */
  readonly leafTtlMs: number;
  /** How long a new root is trusted before it signs, unless its delivery is confirmed earlier; default 10 s. */
  readonly propagationMs: number;
}

const DEFAULT_TIMING: CaTiming = { rootTtlMs: 87_600 * HOUR_MS, leafTtlMs: 72 * HOUR_MS, propagationMs: 10_000 };

/** Certificates begin this much before they are made, because clocks of other machines run behind. */
const BACKDATE_MS = MINUTE_MS;
/** Life of a certificate of adsum's own ports. */
const SERVER_TTL_MS = 720 * HOUR_MS;
/** Labels of letters, digits and hyphens, the first may be `*`. */
const DNS_NAME = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
/** A root is replaced on its own when this part of its life is over. */
const AUTOMATIC_ROTATION_AT = 0.9;
/** Deadlines are looked at no less often than this, so that a machine that slept does not miss one for long. */
const LONGEST_WAIT_MS = HOUR_MS;
/** What is counted while a root retires is on the disk at the latest after this time; a crash makes it so much longer trusted at most. */
const COUNT_MS = 10 * MINUTE_MS;
/** After a failure the next step of a rotation is tried again this much later. */
const RETRY_MS = MINUTE_MS;

export interface CaOptions {
  /** Folder of the state file `ca.json`; made (0700) when missing. One process at a time: see `lockFolder`. */
  readonly dir: string;
  readonly datacenter: string;
  /** What the mesh asks for; without it `<uuid>.consul`, made once and kept. */
  readonly trustDomain?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timing?: Partial<CaTiming>;
}

/** Opens the CA in a folder, or founds one there. Throws `CaError` with the cure in its message; never replaces what it cannot read. */
export async function openCertificateAuthority(options: CaOptions): Promise<CertificateAuthority> {
  const stored = readCaState(options.dir);
  if (stored && options.trustDomain !== undefined && options.trustDomain !== stored.trustDomain) {
    throw new CaError('ca-trust-domain-mismatch', `the CA is of trust domain ${stored.trustDomain}, the mesh asks for ${options.trustDomain}`, {
      file: path.join(options.dir, CA_STATE_FILE),
      hint: 'set trust_domain to the first, or use another --data-dir: a new trust domain is a new identity for every service',
    });
  }
  const state = stored ?? (await foundCa(options));
  return new CertificateAuthority(options, state);
}

async function foundCa(options: CaOptions): Promise<CaState> {
  const trustDomain = options.trustDomain ?? `${randomUUID()}.consul`;
  const timing = { ...DEFAULT_TIMING, ...options.timing };
  const root = await newRoot(trustDomain, 'signing', options.clock.now(), timing.rootTtlMs);
  const state: CaState = { format: 1, trustDomain, roots: [root] };
  writeCaState(options.dir, state);
  options.logger.info({ trust_domain: trustDomain, root: root.id, dir: options.dir }, 'founded a certificate authority');
  return state;
}

async function newRoot(trustDomain: string, phase: RootPhase, now: number, ttlMs: number): Promise<StoredRoot> {
  // The library that makes roots takes a fifth of a second to load, and most starts need no new root.
  const { createRoot } = await import('./root-certificate.ts');
  const id = randomUUID().slice(0, 8);
  const validity = wholeSeconds({ notBefore: now - BACKDATE_MS, notAfter: now + ttlMs });
  const { certificate, privateKey } = await createRoot(`adsum root ${id}`, issuableTrustDomainId(trustDomain), validity);
  return { id, phase, certificate, privateKey };
}

/**
 * Issues leaves and replaces its own root without downtime: a new root is first trusted beside the old one (`staged`), then
 * signs, and the old one stays trusted until the last leaf it signed has expired (`retiring`). Every step is on the disk
 * before it takes effect, so a restart continues where it was.
 */
export class CertificateAuthority implements Authority {
  readonly datacenter: string;
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timing: CaTiming;
  readonly #listeners = new Set<(change: CaChange) => void>();
  readonly #signers = new Map<string, Signer>();
  #state: CaState;
  /** When the staged root begins to sign, on the monotonic clock. Not kept on the disk: while adsum is down, nothing is propagated. */
  #switchAt = Number.POSITIVE_INFINITY;
  #rotating = false;
  #automaticRotation: Promise<void> = Promise.resolve();
  #closed = false;
  #retryAt = Number.NEGATIVE_INFINITY;
  /** Up to when the time of retiring roots is counted, and up to when on the disk. */
  #countedAt: number;
  #keptAt: number;
  #cancelTimer = () => {};

  /** Use `openCertificateAuthority`. */
  constructor(options: CaOptions, state: CaState) {
    this.datacenter = options.datacenter;
    this.#dir = options.dir;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#state = withCountdowns(state, options.clock.now(), this.#retirementMs);
    this.#countedAt = this.#clock.monotonic();
    this.#keptAt = this.#countedAt;
    if (stagedRoot(state)) this.#switchAt = this.#clock.monotonic() + this.#timing.propagationMs;
    this.#step();
  }

  get trustDomain(): string {
    return this.#state.trustDomain;
  }

  get realm(): Realm {
    return { trustDomain: this.trustDomain, datacenter: this.datacenter };
  }

  /** Which root signs now. */
  get signerId(): string {
    return signingRoot(this.#state).id;
  }

  /** Whether leaves of this root are trusted now. */
  trusts(rootId: string): boolean {
    return this.#state.roots.some((root) => root.id === rootId);
  }

  /** The identity that leaves of a service carry. Throws `CaError` `ca-bad-name`. */
  spiffeIdOf(service: string): string {
    return issuableSpiffeId(service, this);
  }

  /** What to trust: PEM certificates, oldest first. The order never changes, so a switch of the signer alone leaves the bundle as it is. */
  roots(): readonly string[] {
    return this.#state.roots.map((root) => root.certificate);
  }

  /** All roots without their keys, oldest first. */
  status(): readonly RootStatus[] {
    const [now, counted] = [this.#clock.now(), this.#clock.monotonic() - this.#countedAt];
    return this.#state.roots.map((root) => statusOf(root, now - counted));
  }

  /** A new certificate for a service. Its end is never after that of the root. Throws `CaError` `ca-bad-name`. */
  async issueLeaf(service: string): Promise<Leaf> {
    this.#step();
    // Matters only after years without a start, when the root expired meanwhile.
    await this.#automaticRotation;
    const root = signingRoot(this.#state);
    const id = this.spiffeIdOf(service);
    const now = this.#clock.now();
    const notAfter = Math.min(now + this.#timing.leafTtlMs, validityOf(root).notAfter);
    if (notAfter <= now || !isValid(root, now))
      throw new CaError('ca-root-expired', `root ${root.id} is not valid by the clock of today and could not be replaced`, { hint: 'the log says why' });
    const validity = wholeSeconds({ notBefore: now - BACKDATE_MS, notAfter });
    const { certificate, ...leaf } = await createLeaf(service, id, validity, this.#signer(root));
    return { ...leaf, certificateChain: certificate, service, spiffeId: id, rootId: root.id };
  }

  /**
   * Signed by the oldest root that is trusted: whoever was given the roots before a rotation trusts it until that root is dropped.
   * @param ttlMs default 720 h; never longer than the root is trusted
   */
  async issueServerCertificate(names: readonly string[], ttlMs = SERVER_TTL_MS): Promise<KeyedCertificate> {
    this.#step();
    await this.#automaticRotation;
    const bad = names.find((name) => !isIP(name) && !DNS_NAME.test(name));
    if (bad !== undefined || names.length === 0) throw new CaError('ca-bad-name', `${JSON.stringify(bad ?? '')} is neither a DNS name nor an IP address`);
    const now = this.#clock.now();
    const oldest = this.status().find(({ notBefore, notAfter }) => notBefore <= now && notAfter > now);
    const root = this.#state.roots.find(({ id }) => id === oldest?.id);
    if (!oldest || !root) throw new CaError('ca-root-expired', 'no root is valid by the clock of today', { hint: 'the log says why' });
    const { createServerCertificate } = await import('./server-certificate.ts'); // loads slowly, and few ask for it
    const notAfter = Math.min(now + ttlMs, oldest.notAfter, oldest.retireAt ?? Number.POSITIVE_INFINITY);
    return createServerCertificate(names, wholeSeconds({ notBefore: now - BACKDATE_MS, notAfter }), root);
  }

  /**
   * Starts a rotation and resolves once the new root is trusted; the rest happens in time. Throws `CaError`
   * `ca-rotation-running` while an earlier new root has not begun to sign; older retiring roots do not matter.
   */
  async rotate(): Promise<RootStatus> {
    if (this.#rotating || stagedRoot(this.#state)) {
      throw new CaError('ca-rotation-running', 'a rotation is under way: its new root does not sign yet', { hint: 'try again in a few seconds' });
    }
    this.#rotating = true;
    let root: StoredRoot;
    try {
      root = await newRoot(this.trustDomain, 'staged', this.#clock.now(), this.#timing.rootTtlMs);
      if (this.#closed) throw new CaError('ca-closed', 'the certificate authority is closed');
      this.#adopt(stageRoot(this.#state, root));
    } finally {
      this.#rotating = false;
    }
    this.#switchAt = this.#clock.monotonic() + this.#timing.propagationMs;
    this.#logger.info({ root: root.id, old_root: this.signerId, switch_in_ms: this.#timing.propagationMs }, 'rotation: the new root is trusted');
    this.#emit('roots');
    this.#step();
    return statusOf(root, this.#clock.now());
  }

  /** Every connected proxy has confirmed this bundle: if the staged root is in it, it need not wait any longer. */
  markRootsDelivered(bundle: readonly string[]): void {
    const staged = stagedRoot(this.#state);
    if (!staged || !bundle.includes(staged.certificate)) return;
    this.#switchAt = this.#clock.monotonic();
    this.#step();
  }

  /** @returns stops listening */
  onChange(listener: (change: CaChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops all timers. What is on the disk continues at the next opening. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    try {
      if (this.#state.roots.some(({ phase }) => phase === 'retiring')) this.#count(Number.POSITIVE_INFINITY);
    } catch (error) {
      this.#logger.warn({ error: (error as Error).message }, 'how long the old root is trusted could not be kept: it will be a little longer');
    }
    this.#listeners.clear();
  }

  /** Does what is due, then waits for what is due next. Idempotent. */
  #step(): void {
    if (this.#closed) return;
    this.#cancelTimer();
    const now = this.#clock.now();
    if (this.#clock.monotonic() >= this.#retryAt) {
      try {
        this.#count(COUNT_MS);
        this.#giveUpUnusable(now);
        this.#promote(now);
        this.#retire();
        this.#replaceOldRoot(now);
      } catch (error) {
        this.#retryLater(error);
      }
    }
    this.#cancelTimer = this.#clock.after(this.#nextWaitMs(now), () => this.#step());
  }

  #promote(now: number): void {
    const staged = stagedRoot(this.#state);
    const old = signingRoot(this.#state);
    if (!staged || (this.#clock.monotonic() < this.#switchAt && isValid(old, now))) return;
    // The last leaf of the old root is issued at the latest now.
    this.#adopt(promoteStagedRoot(this.#state, this.#retirementMs));
    this.#switchAt = Number.POSITIVE_INFINITY;
    this.#logger.info({ root: staged.id, old_root: old.id }, 'rotation: the new root signs');
    this.#emit('signer');
  }

  get #retirementMs(): number {
    return this.#timing.leafTtlMs + BACKDATE_MS;
  }

  /** Takes the time that has passed off the roots that retire. @param keepMs puts it on the disk when so much is not there yet */
  #count(keepMs: number): void {
    const now = this.#clock.monotonic();
    const counted = countDown(this.#state, now - this.#countedAt);
    this.#countedAt = now;
    if (counted === this.#state) this.#keptAt = now;
    else if (keepMs === Number.POSITIVE_INFINITY || now - this.#keptAt >= keepMs) {
      this.#keptAt = now;
      this.#adopt(counted);
    } else this.#state = counted;
  }

  /** A new root from a time when the clock was ahead would sign what nobody accepts. */
  #giveUpUnusable(now: number): void {
    const staged = stagedRoot(this.#state);
    if (!staged || isValid(staged, now)) return;
    this.#adopt(dropStagedRoot(this.#state));
    this.#switchAt = Number.POSITIVE_INFINITY;
    this.#logger.warn({ root: staged.id }, 'rotation: the clock was set back behind the new root, which is given up');
    this.#emit('roots');
    this.#startRotation();
  }

  #retire(): void {
    const next = dropRetiredRoots(this.#state);
    if (next === this.#state) return;
    this.#adopt(next);
    for (const id of this.#signers.keys()) if (!next.roots.some((root) => root.id === id)) this.#signers.delete(id);
    this.#logger.info({ trusted: next.roots.map((root) => root.id) }, 'rotation: the old root is no longer trusted');
    this.#emit('roots');
  }

  #replaceOldRoot(now: number): void {
    const signing = signingRoot(this.#state);
    if (this.#rotating || stagedRoot(this.#state) || (isValid(signing, now) && now < automaticRotationAt(signing))) return;
    const { notBefore } = validityOf(signing);
    this.#logger.warn(
      { root: this.signerId },
      notBefore > now ? 'the root is not valid yet by the clock of today: rotating' : 'the root comes to its end: rotating',
    );
    this.#startRotation();
  }

  #startRotation(): void {
    if (this.#rotating) return;
    this.#automaticRotation = this.rotate().then(
      () => {},
      (error: unknown) => this.#retryLater(error),
    );
  }

  #retryLater(error: unknown): void {
    if (this.#closed) return;
    this.#retryAt = this.#clock.monotonic() + RETRY_MS;
    this.#logger.error({ error: (error as Error).message, retry_in_ms: RETRY_MS }, 'cannot continue the rotation of the root');
  }

  #nextWaitMs(now: number): number {
    const passed = this.#clock.monotonic();
    const retirements = this.#state.roots.flatMap(({ phase, retireInMs = 0 }) => (phase === 'retiring' ? [Math.min(retireInMs, COUNT_MS)] : []));
    const replaceIn = this.#rotating || stagedRoot(this.#state) ? Number.POSITIVE_INFINITY : automaticRotationAt(signingRoot(this.#state)) - now;
    const next = Math.max(this.#retryAt - passed, Math.min(this.#switchAt - passed, replaceIn, ...retirements));
    return Math.min(LONGEST_WAIT_MS, Math.max(next, 1));
  }

  /** On the disk first: what was told to anyone survives. */
  #adopt(state: CaState): void {
    writeCaState(this.#dir, state);
    this.#state = state;
  }

  #emit(change: CaChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  #signer(root: StoredRoot): Signer {
    const known = this.#signers.get(root.id) ?? loadSigner(root.certificate, root.privateKey);
    this.#signers.set(root.id, known);
    return known;
  }
}

function statusOf(root: StoredRoot, now: number): RootStatus {
  const { id, phase, certificate, retireInMs } = root;
  return { id, phase, certificate, ...(retireInMs === undefined ? {} : { retireAt: now + retireInMs }), ...validityOf(root) };
}

function isValid(root: StoredRoot, now: number): boolean {
  const { notBefore, notAfter } = validityOf(root);
  return notBefore <= now && now < notAfter;
}

function automaticRotationAt(root: StoredRoot): number {
  const { notBefore, notAfter } = validityOf(root);
  return notBefore + (notAfter - notBefore) * AUTOMATIC_ROTATION_AT;
}

/** Each leaf asks for those of its root several times, and parsing a certificate costs as much as signing one. */
const validities = new WeakMap<StoredRoot, Validity>();

function validityOf(root: StoredRoot): Validity {
  const known = validities.get(root);
  if (known) return known;
  const { validFrom, validTo } = new X509Certificate(root.certificate);
  const validity = { notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) };
  validities.set(root, validity);
  return validity;
}
