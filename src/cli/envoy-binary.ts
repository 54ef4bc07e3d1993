import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { OLDEST_ENVOY, untriedEnvoy } from '../envoy/tried-versions.ts';
import { type FileObstacle, fileObstacle } from '../runtime/file-obstacle.ts';
import { CliError } from './cli-error.ts';

/** Only against a program that hangs: a busy machine may take long to load a binary of 100 MB. */
const VERSION_TIMEOUT_MS = 120_000;
const HOW_TO_NAME_ONE = `install Envoy ${OLDEST_ENVOY} or later, or name its binary with --envoy-binary or ENVOY_BIN`;

const CODES: Readonly<Record<FileObstacle['kind'], { readonly code: string }>> = {
  missing: { code: 'envoy-missing' },
  'out-of-reach': { code: 'envoy-out-of-reach' },
  'not-permitted': { code: 'envoy-not-executable' },
  other: { code: 'envoy-not-runnable' },
};

export interface EnvoyProgram {
  readonly binary: string;
  /** A warning where adsum was never tried with this release. */
  readonly untried: string | undefined;
}

/**
 * The Envoy to run: the flag, ENVOY_BIN, or the first `envoy` on PATH that this user can execute.
 * @throws CliError with a code that tells apart what is wrong with it
 */
export async function findEnvoy(flag: string | undefined, env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Promise<EnvoyProgram> {
  const named = flag ?? env.ENVOY_BIN;
  const candidates = named?.includes('/') ? [named] : onPath(named || 'envoy', env.PATH);
  const by = flag === undefined ? 'ENVOY_BIN' : '--envoy-binary';
  let obstacle: CliError | undefined;
  for (const binary of candidates) {
    const result = await askVersion(binary, signal);
    if (signal.aborted) throw signal.reason;
    if ('output' in result) return { binary, untried: checkVersion(binary, result.output) };
    // As a shell does: what cannot be executed is passed over, and the first of these is named if nothing else is found.
    if (named?.includes('/')) throw unusable(binary, result.error, `${by}: `);
    if ((result.error as NodeJS.ErrnoException).code !== 'ENOENT') obstacle ??= unusable(binary, result.error, '');
  }
  throw obstacle ?? new CliError(named ? `${by}: no ${named} on PATH` : 'no envoy on PATH', { code: 'envoy-missing', hint: HOW_TO_NAME_ONE });
}

function askVersion(binary: string, signal: AbortSignal): Promise<{ readonly output: string } | { readonly error: Error }> {
  return new Promise((resolve) => {
    execFile(binary, ['--version'], { timeout: VERSION_TIMEOUT_MS, signal }, (error, stdout) => resolve(error ? { error } : { output: stdout }));
  });
}

/** @param error what came of executing it */
export function unusable(binary: string, error: Error, prefix = ''): CliError {
  const { code, killed } = error as NodeJS.ErrnoException & { killed?: boolean };
  const fromSystem = typeof code === 'string'; // otherwise it ran, and ended with a status or by a signal
  const obstacle = fromSystem ? fileObstacle(binary, 'execute', error) : undefined;
  if (obstacle && obstacle.kind !== 'other') return new CliError(`${prefix}${obstacle.reason}`, { ...CODES[obstacle.kind], hint: obstacle.hint, cause: error });
  if (killed) return notRunnable(`${prefix}${binary} --version has not ended after ${VERSION_TIMEOUT_MS / 1000} s`, 'name another binary', error);
  const anotherBuild = `take an Envoy built for ${process.arch} and this system's C library`;
  // The file is there, so what the kernel misses is the loader or interpreter that the file names.
  if (code === 'ENOENT') return notRunnable(`${prefix}${binary} cannot be run: the loader or interpreter it names is not on this machine`, anotherBuild, error);
  if (isForOtherMachine(binary)) return notRunnable(`${prefix}${binary} cannot be run: it is built for another processor`, anotherBuild, error);
  return notRunnable(`${prefix}${binary} cannot be run: ${error.message.trim().replaceAll('\n', '; ')}`, 'name another binary', error);
}

/**
 * Whether this is a program for another kind of machine than the one that runs this process. The kernel's own word for that does not
 * come through: the C library then takes the file for a shell script.
 */
function isForOtherMachine(binary: string): boolean {
  const [its, ours] = [elfMachine(binary), elfMachine(process.execPath)];
  return its !== undefined && ours !== undefined && its !== ours;
}

/** Word size, byte order and processor of an ELF file. Source: elf(5). */
function elfMachine(file: string): string | undefined {
  const header = Buffer.alloc(20);
  try {
    const handle = openSync(file, 'r');
    try {
      readSync(handle, header);
    } finally {
      closeSync(handle);
    }
  } catch {
    return undefined;
  }
  return header.toString('latin1', 0, 4) === '\x7fELF' ? header.toString('hex', 4, 6) + header.toString('hex', 18, 20) : undefined;
}

function notRunnable(message: string, hint: string, cause: Error): CliError {
  return new CliError(message, { code: 'envoy-not-runnable', hint, cause });
}

/** Fails when the binary is no Envoy or too old; returns a warning where adsum was never tried with it. */
function checkVersion(binary: string, output: string): string | undefined {
  // envoy  version: <commit>/1.36.4/Clean/RELEASE/BoringSSL
  const [, major, minor, patch] = /version: [^/]*\/(\d+)\.(\d+)\.(\d+)/.exec(output) ?? [];
  if (!major || !minor || !patch) {
    throw new CliError(`${binary} is not Envoy: its --version says '${output.trim().split('\n')[0] ?? ''}'`, {
      code: 'envoy-not-runnable',
      hint: HOW_TO_NAME_ONE,
    });
  }
  const untried = untriedEnvoy([Number(major), Number(minor), Number(patch)]);
  if (untried && !untried.served) throw new CliError(`${binary}: ${untried.reason}`, { code: 'envoy-too-old', hint: HOW_TO_NAME_ONE });
  return untried && `${binary}: ${untried.reason}`;
}

/** What the name may mean. A folder that this user may not enter stays in: it can hold the program that was meant. */
function onPath(name: string, searchPath = ''): string[] {
  const files = searchPath
    .split(path.delimiter)
    .filter(Boolean)
    .map((folder) => path.join(folder, name));
  return files.filter((file) => {
    try {
      return statSync(file).isFile();
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EACCES';
    }
  });
}
