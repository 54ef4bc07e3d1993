import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import type { Authority, CaChange, Leaf, RootStatus } from '../ca/authority.ts';
import { CaError } from '../ca/ca-error.ts';
import type { KeyedCertificate } from '../ca/certificate.ts';
import { issuableSpiffeId } from '../ca/spiffe-id.ts';
import type { Realm } from '../mesh/spiffe-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { type ConsulClient, ConsulError } from '../sources/consul/consul-client.ts';
import type { ConsulRoots } from '../sources/consul/consul-readings.ts';

export interface ConsulAuthorityOptions {
  readonly client: ConsulClient;
  readonly clock: Clock;
  readonly random: () => number;
  /** The token of a sidecar of this service: whoever may write a service may have its leaf. Undefined: adsum's own is used. */
  readonly tokenFor: (service: string) => string | undefined;
}

const leafAnswer = z.object({
  CertPEM: z.string(),
  PrivateKeyPEM: z.string(),
  SerialNumber: z.string(),
  ServiceURI: z.string(),
  ValidAfter: z.string(),
  ValidBefore: z.string(),
});

/** Leaves asked of Consul at once, at the most: after a rotation every service needs one. */
const CONCURRENCY = 8;
/** The agent makes a new leaf in its own time, some 20 s after a rotation; until then it hands out the old one, and is asked again after this. */
const SAME_LEAF_MS = 3_000;

/** Consul's CA. A leaf is asked for when it is needed, so no connection waits for one. */
export class ConsulAuthority implements Authority {
  readonly #options: ConsulAuthorityOptions;
  readonly #listeners = new Set<(change: CaChange) => void>();
  readonly #lastSerial = new Map<string, string>();
  #roots: ConsulRoots = { trustDomain: '', roots: [] };
  #datacenter = '';
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(options: ConsulAuthorityOptions) {
    this.#options = options;
  }

  /** What Consul trusts and signs with from now on. */
  update(datacenter: string, roots: ConsulRoots): void {
    const before = { bundle: this.roots().join(''), signer: this.signerId };
    this.#datacenter = datacenter;
    this.#roots = roots;
    if (this.roots().join('') !== before.bundle) this.#emit('roots');
    if (this.signerId !== before.signer && before.signer !== '') this.#emit('signer');
  }

  /** Undefined before Consul has been read. */
  get realm(): Realm | undefined {
    const { trustDomain } = this.#roots;
    return trustDomain === '' ? undefined : { trustDomain, datacenter: this.#datacenter };
  }

  get signerId(): string {
    return this.#roots.roots.find(({ active }) => active)?.id ?? '';
  }

  trusts(rootId: string): boolean {
    return this.#roots.roots.some(({ id }) => id === rootId);
  }

  spiffeIdOf(service: string): string {
    return issuableSpiffeId(service, { trustDomain: this.#roots.trustDomain, datacenter: this.#datacenter });
  }

  /** Oldest first, so that a switch of the signer alone changes nothing. */
  roots(): readonly string[] {
    return this.#sorted().map(({ certificate }) => certificate);
  }

  status(): readonly RootStatus[] {
    return this.#sorted().map(({ id, active, certificate, notBefore, notAfter }) => ({
      id,
      phase: active ? 'signing' : 'retiring',
      certificate,
      notBefore,
      notAfter,
    }));
  }

  async rotate(): Promise<RootStatus> {
    throw new CaError('ca-not-ours', "the certificate authority is Consul's", { hint: 'rotate it there: consul connect ca set-config' });
  }

  async issueServerCertificate(): Promise<KeyedCertificate> {
    throw new CaError('ca-not-ours', "the certificate authority is Consul's, which makes none for adsum", { hint: 'give --tls-cert and --tls-key' });
  }

  /** @throws ConsulError, or CaError when what Consul gives is not this service's */
  async issueLeaf(service: string): Promise<Leaf> {
    const id = this.spiffeIdOf(service);
    const leaf = await this.#inTurn(() => this.#request(service));
    if (leaf.spiffeId !== id) throw new ConsulError(`Consul's leaf for ${service} is for ${leaf.spiffeId}, not ${id}`);
    const same = this.#lastSerial.get(service) === leaf.serial;
    this.#lastSerial.set(service, leaf.serial);
    if (same) await this.#pause(SAME_LEAF_MS * (1 + this.#options.random()));
    return leaf;
  }

  onChange(listener: (change: CaChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Consul makes its own. */
  markRootsDelivered(): void {}

  close(): void {
    this.#listeners.clear();
    this.#options.client.close();
  }

  async #request(service: string): Promise<Leaf> {
    const token = this.#options.tokenFor(service);
    const { body } = await this.#options.client.request({
      path: `/agent/connect/ca/leaf/${encodeURIComponent(service)}`,
      ...(token === undefined ? {} : { token }),
      timeoutMs: 30_000,
    });
    const parsed = leafAnswer.safeParse(body);
    if (!parsed.success) throw new ConsulError(`Consul's leaf for ${service} cannot be read`);
    const { CertPEM, PrivateKeyPEM, SerialNumber, ServiceURI, ValidAfter, ValidBefore } = parsed.data;
    return {
      service,
      spiffeId: ServiceURI,
      certificateChain: CertPEM,
      privateKey: PrivateKeyPEM,
      serial: SerialNumber.replaceAll(':', ''),
      rootId: this.#rootOf(CertPEM),
      notBefore: Date.parse(ValidAfter),
      notAfter: Date.parse(ValidBefore),
    };
  }

  /** The root that signed the leaf itself or, where Consul signs with an intermediate, the first of its chain that a root signed. */
  #rootOf(chain: string): string {
    const certificates = chain.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
    const roots = this.#roots.roots.map(({ id, certificate }) => ({ id, key: new X509Certificate(certificate).publicKey }));
    for (const certificate of certificates) {
      const signed = new X509Certificate(certificate);
      const root = roots.find(({ key }) => signed.verify(key));
      if (root) return root.id;
    }
    return '';
  }

  #sorted() {
    return [...this.#roots.roots].sort((a, b) => a.notBefore - b.notBefore || (a.id < b.id ? -1 : 1));
  }

  async #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#running >= CONCURRENCY) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(delayMs, resolve));
  }

  #emit(change: CaChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}
