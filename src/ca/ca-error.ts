export type CaErrorCode =
  | 'ca-state-damaged'
  | 'ca-state-missing'
  | 'ca-state-unreadable'
  | 'ca-state-unwritable'
  | 'ca-trust-domain-mismatch'
  | 'ca-rotation-running'
  | 'ca-bad-name'
  | 'ca-root-expired'
  | 'ca-not-ours'
  | 'ca-closed';

/** Why the certificate authority cannot start or do as asked; `message` is one line for people, with the cure. */
export class CaError extends Error {
  readonly code: CaErrorCode;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly file: string | undefined;

  constructor(code: CaErrorCode, reason: string, details: { hint?: string; file?: string; cause?: unknown } = {}) {
    super(`${details.file ? `${details.file}: ` : ''}${reason}${details.hint ? ` (${details.hint})` : ''}`, { cause: details.cause });
    this.name = 'CaError';
    this.code = code;
    this.reason = reason;
    this.hint = details.hint;
    this.file = details.file;
  }
}
