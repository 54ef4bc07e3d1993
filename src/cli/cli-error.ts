/** An expected failure: the reason is shown without a stack trace and the process ends with status 1. */
export class CliError extends Error {
  /** Stable and searchable; listed in docs/problems.md. Shown before the reason. */
  readonly code: string | undefined;
  /** What to do about it, on a line of its own. */
  readonly hint: string | undefined;
  readonly exitStatus: number = 1;

  constructor(message: string, options: { code?: string; hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = options.code;
    this.hint = options.hint;
  }
}

/** The command line itself is wrong: status 2. */
export class UsageError extends CliError {
  override readonly exitStatus = 2;
}
