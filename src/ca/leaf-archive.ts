import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../runtime/durable-file.ts';
import type { Logger } from '../runtime/logger.ts';
import { readRegularText } from '../runtime/regular-file.ts';
import { openSealedJson, sealJson } from '../runtime/sealed-json.ts';
import type { Leaf } from './authority.ts';

const leafSchema = z.strictObject({
  service: z.string(),
  spiffeId: z.string(),
  certificateChain: z.string(),
  privateKey: z.string(),
  serial: z.string(),
  rootId: z.string(),
  notBefore: z.number(),
  notAfter: z.number(),
});

const SUFFIX = '.json';
const MOST_LEAF_BYTES = 1024 * 1024;

/**
 * Leaves on the disk, so that a restart, or a sidecar that comes back, finds the one it had and is sent nothing. Only a
 * cache: what is missing or damaged is issued anew, so nothing here ever fails and nothing is flushed.
 */
export class LeafArchive {
  readonly #dir: string;
  readonly #logger: Logger;

  /** @param dir made (0700) when missing; one file (0600) per service */
  constructor(dir: string, logger: Logger) {
    this.#dir = dir;
    this.#logger = logger;
  }

  /** The stored leaf of a service, whatever its age; `undefined` when there is none that fits its key. */
  load(service: string): Leaf | undefined {
    try {
      const leaf = leafSchema.parse(openSealedJson(readRegularText(this.#file(service), MOST_LEAF_BYTES)));
      const fits = leaf.service === service && new X509Certificate(leaf.certificateChain).checkPrivateKey(createPrivateKey(leaf.privateKey));
      return fits ? leaf : undefined;
    } catch {
      return undefined;
    }
  }

  save(leaf: Leaf): void {
    const file = this.#file(leaf.service);
    try {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      writeDurably(file, sealJson(leaf), { flush: false });
    } catch (error) {
      this.#logger.warn({ service: leaf.service, error: (error as Error).message }, 'cannot keep a certificate: it will be issued anew after a restart');
    }
  }

  /** Removes the leaves that have expired. */
  prune(now: number): void {
    let files: string[] = [];
    try {
      files = readdirSync(this.#dir);
    } catch {
      // None was ever kept.
    }
    for (const file of files.filter((name) => name.endsWith(SUFFIX))) {
      const leaf = this.load(file.slice(0, -SUFFIX.length));
      if (!leaf || leaf.notAfter <= now) rmSync(path.join(this.#dir, file), { force: true });
    }
  }

  /** Services whose leaves exist have names that are safe in a path; see `issuableSpiffeId`. */
  #file(service: string): string {
    return path.join(this.#dir, `${encodeURIComponent(service)}${SUFFIX}`);
  }
}
