import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The machine (or network namespace) whose tables are changed. */
export interface Host {
  /** Runs a program to its end. Status `undefined`: it is not installed. */
  run(program: string, args: readonly string[], input?: string): RunResult;
  /** Undefined when there is no such file. */
  readFile(file: string): string | undefined;
}

export interface RunResult {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** iptables lies in sbin, which the PATH of ordinary users and of some units lacks. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
/** Above the 10 s that iptables itself waits for its lock. */
const TIMEOUT_MS = 30_000;
/** Hosts with many containers have long tables. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** This host. */
export function systemHost(env: Readonly<Record<string, string | undefined>>): Host {
  return {
    run(program, args, input = '') {
      const path = env.PATH ? `${env.PATH}:${SYSTEM_PATH}` : SYSTEM_PATH;
      const result = spawnSync(program, args, {
        input,
        encoding: 'utf8',
        timeout: TIMEOUT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
        env: { ...env, PATH: path, LC_ALL: 'C' },
      });
      const { error } = result;
      if (error && 'code' in error && error.code === 'ENOENT') return { status: undefined, stdout: '', stderr: '' };
      if (error) return { status: 1, stdout: '', stderr: `${program}: ${error.message}` };
      return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr };
    },
    readFile(file) {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return undefined;
      }
    },
  };
}
