import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { OLDEST_ENVOY, untriedEnvoy } from '../envoy/tried-versions.ts';
import { CliError } from './cli-error.ts';

/** Where Envoy is: the flag, ENVOY_BIN, or `envoy` on PATH. */
export function findEnvoy(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const named = flag ?? env.ENVOY_BIN;
  if (named) {
    const found = named.includes('/') ? executable(named) : onPath(named, env.PATH);
    if (found) return found;
    throw new CliError(`${flag === undefined ? 'ENVOY_BIN' : '--envoy-binary'} ${named} is not an executable file`);
  }
  const found = onPath('envoy', env.PATH);
  if (found) return found;
  throw new CliError('no envoy on PATH', { hint: `install Envoy ${OLDEST_ENVOY} or later, or name its binary with --envoy-binary or ENVOY_BIN` });
}

/** Fails when the binary is no Envoy or too old; returns a warning where adsum was never tried with it. */
export async function checkEnvoyVersion(binary: string, signal: AbortSignal): Promise<string | undefined> {
  const output = await new Promise<string>((resolve, reject) => {
    execFile(binary, ['--version'], { timeout: 10_000, signal }, (error, stdout) => {
      if (error) reject(new CliError(`${binary} --version failed: ${error.message.split('\n')[0]}`, { cause: error }));
      else resolve(stdout);
    });
  });
  // envoy  version: <commit>/1.36.4/Clean/RELEASE/BoringSSL
  const [, major, minor, patch] = /version: [^/]*\/(\d+)\.(\d+)\.(\d+)/.exec(output) ?? [];
  if (!major || !minor || !patch) throw new CliError(`${binary} is not Envoy: its --version says '${output.trim().split('\n')[0] ?? ''}'`);
  const untried = untriedEnvoy([Number(major), Number(minor), Number(patch)]);
  if (untried && !untried.served) throw new CliError(`${binary}: ${untried.reason}`);
  return untried && `${binary}: ${untried.reason}`;
}

function onPath(name: string, searchPath = ''): string | undefined {
  for (const folder of searchPath.split(path.delimiter)) {
    const found = folder && executable(path.join(folder, name));
    if (found) return found;
  }
  return undefined;
}

function executable(file: string): string | undefined {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}
