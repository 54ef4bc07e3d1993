import type { Authority } from '../ca/authority.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Watchable } from '../runtime/watchable.ts';
import type { ServerCertificate } from '../server/tls-credentials.ts';

export interface OwnCertificateOptions {
  /** DNS names and IP addresses by which sidecars call adsum. */
  readonly names: readonly string[];
  readonly authority: Authority;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** It is renewed when this part of its life is over. */
const RENEW_AT = 2 / 3;
const RETRY_MS = 60_000;
/** Timers stand still while a machine sleeps; certificates do not. */
const LONGEST_WAIT_MS = 60_000;

/** The certificate of adsum's own ports, made by the mesh's CA and renewed in time. Nothing of it is on the disk. */
export class OwnCertificate implements Watchable<ServerCertificate> {
  readonly #options: OwnCertificateOptions;
  readonly #listeners = new Set<(value: ServerCertificate) => void>();
  readonly #stopListening: () => void;
  #renewAt = 0;
  #cancel = () => {};
  value: ServerCertificate = { cert: '', key: '' };

  /** @throws CaError */
  static async open(options: OwnCertificateOptions): Promise<OwnCertificate> {
    const certificate = new OwnCertificate(options);
    await certificate.#renew();
    certificate.#wait();
    return certificate;
  }

  private constructor(options: OwnCertificateOptions) {
    this.#options = options;
    // its signer may be trusted no more
    this.#stopListening = options.authority.onChange((change) => {
      if (change === 'roots') void this.#renewOrRetry();
    });
  }

  onChange(listener: (value: ServerCertificate) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#cancel();
    this.#stopListening();
    this.#listeners.clear();
  }

  #wait(): void {
    const { clock } = this.#options;
    this.#cancel = clock.after(Math.min(LONGEST_WAIT_MS, Math.max(0, this.#renewAt - clock.now())), () => {
      if (clock.now() < this.#renewAt) return this.#wait();
      void this.#renewOrRetry().then(() => this.#wait());
    });
  }

  async #renewOrRetry(): Promise<void> {
    const { clock, logger } = this.#options;
    try {
      await this.#renew();
    } catch (error) {
      this.#renewAt = clock.now() + RETRY_MS;
      logger.error({ error: String(error), retry_in_ms: RETRY_MS }, "adsum's own certificate cannot be renewed");
    }
  }

  async #renew(): Promise<void> {
    const { names, authority, logger } = this.#options;
    const { certificate, privateKey, notBefore, notAfter } = await authority.issueServerCertificate(names);
    this.value = { cert: certificate, key: privateKey };
    this.#renewAt = notBefore + (notAfter - notBefore) * RENEW_AT;
    logger.info({ names, not_after: new Date(notAfter).toISOString() }, "adsum's own certificate is in force");
    for (const listener of [...this.#listeners]) listener(this.value);
  }
}
