/** An expected failure: the reason is shown without a stack trace and the process ends with status 1. */
export class CliError extends Error {
  /** What to do about it, on a line of its own. */
  readonly hint: string | undefined;
  readonly exitStatus: number = 1;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.hint = options.hint;
  }
}

/** The command line itself is wrong: status 2. */
export class UsageError extends CliError {
  override readonly exitStatus = 2;
}
