/** A file of the data dir cannot be used. It is never replaced by a fresh one: that would lose identities or move addresses. */
export class StateError extends Error {
  readonly file: string;
  readonly hint: string;

  constructor(file: string, reason: string, hint = 'restore it from a backup, or move it away to start afresh knowing what that loses (docs/operations.md)') {
    super(`${file} ${reason}`);
    this.name = 'StateError';
    this.file = file;
    this.hint = hint;
  }
}
