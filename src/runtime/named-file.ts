import { type FileObstacle, fileObstacle } from './file-obstacle.ts';
import { readRegularText } from './regular-file.ts';

const CODES: Readonly<Record<FileObstacle['kind'], { readonly code: string }>> = {
  missing: { code: 'file-missing' },
  'out-of-reach': { code: 'file-out-of-reach' },
  'not-permitted': { code: 'file-not-readable' },
  other: { code: 'file-not-readable' },
};

/** A file that a flag or a variable names cannot be read. */
export class FileError extends Error {
  /** Listed in docs/problems.md. */
  readonly code: string;
  readonly hint: string;

  constructor(what: string, { kind, reason, hint }: FileObstacle, cause: unknown) {
    super(`${what}: ${reason}`, { cause });
    this.name = 'FileError';
    this.code = CODES[kind].code;
    this.hint = hint;
  }
}

/**
 * Reads a text file. A failure says what stops this user, who is often another one than the user who put the file there.
 * @param what how the file is called in the message, e.g. `--tls-ca`
 * @throws FileError
 */
export function readNamedFile(file: string, what: string): string {
  try {
    return readRegularText(file);
  } catch (error) {
    throw new FileError(what, fileObstacle(file, 'read', error), error);
  }
}
