import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { CliError } from './cli-error.ts';

/** The oldest Envoy adsum writes configuration for: the oldest that Consul 1.22 supports. */
const OLDEST = [1, 33] as const;

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
  throw new CliError('no envoy on PATH', { hint: 'install Envoy 1.33 or later, or name its binary with --envoy-binary or ENVOY_BIN' });
}

/** Fails when the binary is no Envoy or too old. Returns the version, e.g. `1.36.4`. */
export async function checkEnvoyVersion(binary: string, signal: AbortSignal): Promise<string> {
  const output = await new Promise<string>((resolve, reject) => {
    execFile(binary, ['--version'], { timeout: 10_000, signal }, (error, stdout) => {
      if (error) reject(new CliError(`${binary} --version failed: ${error.message.split('\n')[0]}`, { cause: error }));
      else resolve(stdout);
    });
  });
  // envoy  version: <commit>/1.36.4/Clean/RELEASE/BoringSSL
  const [, major, minor, patch] = /version: [^/]*\/(\d+)\.(\d+)\.(\d+)/.exec(output) ?? [];
  if (!major || !minor || !patch) throw new CliError(`${binary} is not Envoy: its --version says '${output.trim().split('\n')[0] ?? ''}'`);
  const version = `${major}.${minor}.${patch}`;
  if (Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1])) {
    throw new CliError(`${binary} is Envoy ${version}; adsum needs ${OLDEST.join('.')} or later`);
  }
  return version;
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
