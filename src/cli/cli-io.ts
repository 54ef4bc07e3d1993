/** All a command may touch of the process it runs in, so that tests can run it without one. */
export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGTERM or SIGINT: commands end what they started and return. */
  readonly signal: AbortSignal;
  /** What stood after `--`, untouched. */
  readonly afterDashes: readonly string[];
  /** Results only: other programs read them. */
  readonly out: (text: string) => void;
  /** Everything meant for people. */
  readonly err: (text: string) => void;
  /** Ends the process with this status after a successful run, for commands that stand in for another program. Default 0. */
  exitWith(status: number): void;
}
