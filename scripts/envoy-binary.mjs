// Where Envoy is: the demo, the tests and prepare-machine ask here, so that all of them mean the same binary.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

export const release = JSON.parse(readFileSync(path.join(repository, 'scripts/envoy-release.json'), 'utf8'));

export function fetchedEnvoy(version) {
  return path.join(repository, '.tools', `envoy-${version}`);
}

export function findOnPath(command) {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return [...folders, '/usr/sbin', '/sbin'].map((folder) => path.join(folder, command)).find(isExecutable);
}

/** ENVOY_BIN, then PATH, then the fetched one. An Envoy older than the oldest supported is passed over. */
export function findDefaultEnvoy() {
  for (const binary of [process.env.ENVOY_BIN, findOnPath('envoy')]) {
    const version = binary && isExecutable(binary) ? versionOf(binary) : undefined;
    if (binary && version && !isOlder(version, release.oldest_supported)) return { binary, version };
  }
  return findEnvoy(release.default);
}

/** Exactly this version, which must have been fetched. */
export function findEnvoy(version) {
  const binary = fetchedEnvoy(version);
  return isExecutable(binary) ? { binary, version } : undefined;
}

/** Only against a program that hangs: a busy machine may take long to load a binary of 100 MB. */
const VERSION_TIMEOUT_MS = 120_000;

export function versionOf(binary) {
  const run = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: VERSION_TIMEOUT_MS });
  return run.stdout?.match(/version: [0-9a-f]+\/(\d+\.\d+\.\d+)/)?.[1];
}

function isOlder(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  const i = a.findIndex((part, index) => part !== b[index]);
  return i >= 0 && a[i] < b[i];
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
