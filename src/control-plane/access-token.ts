import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * The secret a sidecar shows: `adsum_<id>_<secret>`. The ID finds what is stored of it, the secret has 256 random bits. Only a hash is
 * stored; a fast one will do, because nothing can be guessed.
 */
export interface AccessToken {
  readonly id: string;
  readonly text: string;
}

const FORM = /^adsum_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;

export function createAccessToken(): AccessToken {
  const id = randomBytes(6).toString('hex');
  return { id, text: `adsum_${id}_${randomBytes(32).toString('base64url')}` };
}

/** Undefined for anything that is no token of adsum's. */
export function tokenIdOf(text: string): string | undefined {
  return FORM.exec(text)?.[1];
}

/** SHA-256, hexadecimal. */
export function hashToken(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Takes as long whatever differs. */
export function matchesHash(text: string, hash: string): boolean {
  const [given, stored] = [Buffer.from(hashToken(text), 'hex'), Buffer.from(hash, 'hex')];
  return given.length === stored.length && timingSafeEqual(given, stored);
}
