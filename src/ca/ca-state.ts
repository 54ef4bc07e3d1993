import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../runtime/durable-file.ts';
import { fileObstacle } from '../runtime/file-obstacle.ts';
import { readRegularText } from '../runtime/regular-file.ts';
import { BrokenSealError, openSealedJson, sealJson } from '../runtime/sealed-json.ts';
import { CaError } from './ca-error.ts';
import { issuableTrustDomainId } from './spiffe-id.ts';

/**
 * The life of a root. `staged`: trusted everywhere, signs nothing yet. `signing`: signs every leaf.
 * `retiring`: signs nothing any more, trusted until its last leaf has expired.
 */
export type RootPhase = 'staged' | 'signing' | 'retiring';

const rootSchema = z.strictObject({
  id: z.string().min(1),
  phase: z.enum(['staged', 'signing', 'retiring']),
  certificate: z.string(),
  privateKey: z.string(),
  /** How much longer a retiring root is trusted, in ms of adsum's running; counted, because the time of day may be set. */
  retireInMs: z.number().optional(),
  /** What earlier versions kept instead: the end, in ms since the epoch. */
  retireAt: z.number().optional(),
});

const stateSchema = z.strictObject({
  format: z.literal(1),
  trustDomain: z.string().min(1),
  /** Oldest first; exactly one of them signs. */
  roots: z.array(rootSchema),
});

export type StoredRoot = Readonly<z.infer<typeof rootSchema>>;
export interface CaState {
  readonly format: 1;
  readonly trustDomain: string;
  readonly roots: readonly StoredRoot[];
}

export const CA_STATE_FILE = 'ca.json';

const DAMAGED_HINT = 'restore it from a backup; or move it away to begin with a new CA, whose certificates old sidecars will not trust';

/** Reads the state; `undefined` when there is none yet. Throws `CaError` rather than guess. */
export function readCaState(dir: string): CaState | undefined {
  const file = path.join(dir, CA_STATE_FILE);
  let text: string;
  try {
    text = readRegularText(file);
    closeToOthers(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothingYet(dir, file);
    throw new CaError('ca-state-unreadable', `cannot read the CA's keys: ${fileObstacle(file, 'read', error).reason}`, {
      file,
      hint: 'run as the owner of the file',
      cause: error,
    });
  }
  let parsed: unknown;
  try {
    parsed = openSealedJson(text);
  } catch (error) {
    if (error instanceof BrokenSealError) throw damaged(file, error.message);
    // The parser's own message quotes the text, which may be part of a key.
    throw damaged(file, 'not JSON');
  }
  const result = stateSchema.safeParse(parsed);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw damaged(file, `${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'unexpected content'}`);
  }
  const defect = firstDefect(result.data);
  if (defect) throw damaged(file, defect);
  return result.data;
}

/** Keys that others could read are tightened, not trusted less: whoever opened it up did so before now. */
function closeToOthers(file: string): void {
  if ((statSync(file).mode & 0o077) === 0) return;
  try {
    chmodSync(file, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
  }
}

/** Of a mesh from Consul, which has its own CA. */
const NOT_OURS: ReadonlySet<string> = new Set(['last-good-consul.json']);

/** The CA is founded before anything else is kept, so where there is other state it was lost, and a new one would be a stranger to every sidecar. */
function nothingYet(dir: string, file: string): undefined {
  const others = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith('.json') && !NOT_OURS.has(name)) : [];
  if (others.length === 0) return undefined;
  throw new CaError('ca-state-missing', `the CA's keys are missing, but ${others.join(', ')} of the same mesh ${others.length > 1 ? 'are' : 'is'} there`, {
    file,
    hint: 'restore it from a backup; or move the other files away to begin with a new CA, whose certificates old sidecars will not trust',
  });
}

/** Writes the state; the folder is made if missing. Throws `CaError`. */
export function writeCaState(dir: string, state: CaState): void {
  const file = path.join(dir, CA_STATE_FILE);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeDurably(file, sealJson(state, 2));
  } catch (error) {
    throw new CaError('ca-state-unwritable', `cannot write the CA's keys: ${(error as Error).message}`, {
      file,
      hint: 'choose a folder that can be written with --data-dir',
      cause: error,
    });
  }
}

function damaged(file: string, reason: string): CaError {
  return new CaError('ca-state-damaged', `the CA's state is damaged: ${reason}`, { file, hint: DAMAGED_HINT });
}

/** What the schema cannot see: keys that do not fit, or not exactly one signing root. */
function firstDefect(state: CaState): string | undefined {
  if (state.roots.filter((root) => root.phase === 'signing').length !== 1) return 'not exactly one root is signing';
  if (state.roots.filter((root) => root.phase === 'staged').length > 1) return 'more than one root is staged';
  for (const root of state.roots) {
    try {
      const certificate = new X509Certificate(root.certificate);
      if (!certificate.ca) return `root ${root.id} is no CA certificate`;
      if (!certificate.checkPrivateKey(createPrivateKey(root.privateKey))) return `the key of root ${root.id} does not belong to its certificate`;
      if (certificate.subjectAltName !== `URI:${issuableTrustDomainId(state.trustDomain)}`)
        return `root ${root.id} is not of trust domain ${state.trustDomain}`;
    } catch (error) {
      return `root ${root.id}: ${(error as Error).message}`;
    }
  }
  return undefined;
}
