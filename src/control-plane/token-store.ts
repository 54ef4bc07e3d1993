import path from 'node:path';
import { z } from 'zod';
import type { TokenGrant } from '../admin/admin-api.ts';
import type { Clock } from '../runtime/clock.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import { fileObstacle } from '../runtime/file-obstacle.ts';
import { readRegularText } from '../runtime/regular-file.ts';
import { openSealedJson, sealJson } from '../runtime/sealed-json.ts';
import { StateError } from '../runtime/state-error.ts';
import { createAccessToken, hashToken, matchesHash, tokenIdOf } from './access-token.ts';

const tokenSchema = z.strictObject({
  id: z.string(),
  /** Whose sidecars may show it. */
  service: z.string().optional(),
  /** Other hosts may read everything with it. */
  operator: z.literal(true).optional(),
  /** On this node only. */
  node: z.string().optional(),
  /** SHA-256 of the token, hexadecimal. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Milliseconds since the epoch. */
  createdAt: z.number(),
  expiresAt: z.number().optional(),
});

const stateSchema = z.strictObject({ format: z.literal(1), tokens: z.array(tokenSchema) });

export type StoredToken = Readonly<z.infer<typeof tokenSchema>>;

/** The tokens of sidecars and operators, kept in the data dir: what was created or revoked is on the disk before anybody is told. */
export class TokenStore {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #tokens: ReadonlyMap<string, StoredToken>;

  /** @throws StateError when the file is there but cannot be read or understood */
  constructor({ dataDir, clock }: { dataDir: string; clock: Clock }) {
    this.#file = path.join(dataDir, 'tokens.json');
    this.#clock = clock;
    this.#tokens = mapOf(load(this.#file));
  }

  /** Oldest first, without those that have expired. */
  list(): readonly StoredToken[] {
    return [...this.#tokens.values()].filter((token) => !this.#hasExpired(token));
  }

  /** @returns what is stored of it, and the token itself, which is never seen again */
  create({ service, node, operator, ttlMs }: TokenGrant): { readonly token: string; readonly stored: StoredToken } {
    const { id, text } = createAccessToken();
    const createdAt = this.#clock.now();
    const stored: StoredToken = {
      id,
      ...(service === undefined ? {} : { service }),
      ...(node === undefined ? {} : { node }),
      ...(operator === undefined ? {} : { operator }),
      hash: hashToken(text),
      createdAt,
      ...(ttlMs === undefined ? {} : { expiresAt: createdAt + ttlMs }),
    };
    const tokens = [...this.list(), stored];
    this.#write(tokens);
    this.#tokens = mapOf(tokens);
    return { token: text, stored };
  }

  /** False: there is no such token. @throws StateError when it is not on the disk; it is in force all the same, until a restart */
  revoke(id: string): boolean {
    if (!this.#tokens.has(id)) return false;
    // in force first: a full disk must not keep a stolen token alive
    this.#tokens = mapOf(this.list().filter((token) => token.id !== id));
    for (const listener of this.#listeners) listener();
    this.#write(this.list());
    return true;
  }

  /** What the token is good for; undefined: it is unknown, was revoked or has expired. */
  find(text: string): StoredToken | undefined {
    const stored = this.#tokens.get(tokenIdOf(text) ?? '');
    return stored && matchesHash(text, stored.hash) && !this.#hasExpired(stored) ? stored : undefined;
  }

  /** Called when a token was revoked. */
  onRevoked(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #hasExpired({ expiresAt }: StoredToken): boolean {
    return expiresAt !== undefined && expiresAt <= this.#clock.now();
  }

  #write(tokens: readonly StoredToken[]): void {
    try {
      writeDurably(this.#file, sealJson({ format: 1, tokens }, 1));
    } catch (error) {
      throw new StateError(this.#file, `cannot be written: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function mapOf(tokens: readonly StoredToken[]): ReadonlyMap<string, StoredToken> {
  return new Map(tokens.map((token) => [token.id, token]));
}

function load(file: string): StoredToken[] {
  let text: string;
  try {
    text = readRegularText(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new StateError(file, `cannot be read: ${fileObstacle(file, 'read', error).reason}`, 'run as the owner of the file');
  }
  const parsed = parse(text);
  if (!parsed) throw new StateError(file, 'is damaged', 'restore it from a backup, or move it away: then every sidecar needs a new token');
  return parsed.tokens;
}

function parse(text: string): z.infer<typeof stateSchema> | undefined {
  try {
    return stateSchema.parse(openSealedJson(text));
  } catch {
    return undefined;
  }
}
