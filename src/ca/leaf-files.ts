import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { writeDurably } from '../runtime/durable-file.ts';
import type { Leaf } from './certificate-authority.ts';

/** Writes `cert.pem`, `key.pem` (0600) and `ca.pem` into a folder, made (0700) when missing. Throws what the file system says. */
export function writeLeafFiles(dir: string, leaf: Pick<Leaf, 'certificateChain' | 'privateKey'>, roots: readonly string[]): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeDurably(path.join(dir, 'key.pem'), leaf.privateKey, 0o600);
  writeDurably(path.join(dir, 'cert.pem'), leaf.certificateChain, 0o644);
  writeDurably(path.join(dir, 'ca.pem'), roots.join(''), 0o644);
}
