/** What was done, and every promise that did not hold. */
export interface CrashReport {
  readonly rounds: number;
  readonly kills: number;
  readonly addresses: number;
  readonly roots: number;
  readonly tokens: number;
  readonly broken: readonly string[];
}

export function killAtRandom(options: { readonly rounds: number; readonly seed: number; readonly log?: (line: string) => void }): Promise<CrashReport>;
