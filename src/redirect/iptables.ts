import type { Host, RunResult } from './host.ts';
import { parseSaved } from './parse-saved.ts';
import type { Family } from './redirect-config.ts';
import type { RuleSets } from './rule-set.ts';

/** An expected failure of a change to the tables; nothing of the change remains unless the message says so. */
export class RedirectError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'RedirectError';
    this.hint = hint;
  }
}

const PREFIX: Record<Family, string> = { ipv4: 'iptables', ipv6: 'ip6tables' };
/** Another program may hold the lock of the tables for a moment; 10 s. */
const RESTORE_ARGS = ['--noflush', '--wait=10'];
/** Exit status of iptables when it got no lock or no memory: says nothing about what the kernel can do. */
const RESOURCE_PROBLEM = 4;

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly reason: string; readonly temporary: boolean };

/** What is there of ours. */
export function readRules(host: Host, family: Family): RuleSets | { readonly failed: string } {
  const program = `${PREFIX[family]}-save`;
  const result = host.run(program, []);
  requireInstalled(program, result);
  return result.status === 0 ? parseSaved(result.stdout) : { failed: reasonOf(program, result) };
}

/** Runs one restore, whole tables or nothing. Empty input is success. */
export function applyRules(host: Host, family: Family, input: string): Outcome {
  if (input === '') return { ok: true };
  const program = `${PREFIX[family]}-restore`;
  const result = host.run(program, RESTORE_ARGS, input);
  requireInstalled(program, result);
  if (result.status === 0) return { ok: true };
  return { ok: false, reason: reasonOf(program, result), temporary: result.status === RESOURCE_PROBLEM };
}

/** How a user would run it by hand. */
export function restoreCommand(family: Family): string {
  return [`${PREFIX[family]}-restore`, ...RESTORE_ARGS].join(' ');
}

function requireInstalled(program: string, result: RunResult): void {
  if (result.status === undefined) throw new RedirectError(`${program} is not installed`, "it is in Debian's and Ubuntu's package 'iptables'");
}

/** The first line that says something: iptables puts its own name and hints around it. */
function reasonOf(program: string, result: RunResult): string {
  const lines = result.stderr.split('\n').map((line) => line.replace(/^ip6?tables-\w+ v[\d.]+ \(\w+\): ?/, '').trim());
  const line = lines.find((text) => text !== '' && !text.startsWith('#') && !/^(Error occurred|Try `)/.test(text));
  return `${program}: ${line ?? `status ${result.status}`}`;
}
