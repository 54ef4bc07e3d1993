// The demo and the tests with real Envoys run adsum, Envoy and applications under users of their own. The clone may lie where these users
// reach nothing (/root has mode 0700), or belong to its owner alone (umask 077). So they get copies, in a folder that every user may enter.
// The modes of the clone stay as they are: what else its owner keeps there is nobody's business.
import { spawnSync } from 'node:child_process';
import { chmodSync, constants, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Large, and of no use to a running program. */
const LEFT_OUT = /\.(?:d\.[cm]?ts|[cm]?ts|map|md)$/;

/** Copies the built adsum and the packages it needs into the folder. Returns the file for `node` to run. */
export function publishAdsum(folder) {
  const { packages } = JSON.parse(readFileSync(path.join(repository, 'package-lock.json'), 'utf8'));
  const installed = Object.keys(packages).filter((place) => /^node_modules\/(?!.*node_modules\/)/.test(place) && !packages[place].dev);
  for (const place of ['dist', 'package.json', ...installed]) {
    // Optional packages are there or not.
    if (existsSync(path.join(repository, place))) publish(path.join(repository, place), path.join(folder, place));
  }
  return path.join(folder, 'dist/main.js');
}

/** Copies a file, or a folder with what is in it. Every user may read the copy, and its owner alone may change it, whatever the umask. */
export function publish(from, to) {
  const status = statSync(from);
  makeReachable(status.isDirectory() ? to : path.dirname(to));
  if (status.isDirectory()) {
    for (const name of readdirSync(from)) if (!LEFT_OUT.test(name)) publish(path.join(from, name), path.join(to, name));
  } else {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
    chmodSync(to, (status.mode & 0o111) === 0 ? 0o644 : 0o755);
  }
  return to;
}

/** Makes a folder, and those above it that are missing, that every user may enter. */
function makeReachable(folder) {
  if (existsSync(folder)) return;
  makeReachable(path.dirname(folder));
  mkdirSync(folder);
  chmodSync(folder, 0o755);
}

/** The binary itself, if this user can execute it where it lies; otherwise a copy in the folder. For root only. */
export function executableFor(uid, binary, folder) {
  const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all'];
  if (spawnSync('setpriv', [...user, 'test', '-x', binary]).status === 0) return binary;
  const copy = path.join(folder, path.basename(binary));
  return existsSync(copy) ? copy : publish(binary, copy);
}
