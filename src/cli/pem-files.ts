import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { writeDurably } from '../runtime/durable-file.ts';
import { CliError } from './cli-error.ts';

/** `cert.pem`, `key.pem` (0600) and `ca.pem`, each by rename: whoever watches them finds whole files. */
export function writePemFiles(dir: string, { cert, key, ca }: { cert: string; key: string; ca: string }): void {
  try {
    mkdirSync(dir, { recursive: true });
    writeDurably(path.join(dir, 'ca.pem'), ca, { mode: 0o644 });
    writeDurably(path.join(dir, 'key.pem'), key, { mode: 0o600 });
    writeDurably(path.join(dir, 'cert.pem'), cert, { mode: 0o644 });
  } catch (error) {
    throw new CliError(`cannot write to ${dir}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
