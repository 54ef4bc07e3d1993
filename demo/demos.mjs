// Which demos there are on this host. Each has a name, adsum-demo or adsum-demo-N, that its namespaces begin with, and a folder of that
// name. So one can be shown beside another that was kept.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Not /run, which is often mounted noexec, and not /tmp, where others may write: users of the demo run what lies there. */
const parent = '/var/lib';
const first = 'adsum-demo';
const nameForm = /^adsum-demo(-\d+)?$/;

export function folderOf(name) {
  return path.join(parent, name);
}

/**
 * All demos, by name. kept: runs, and was left on purpose. shown: the process that shows it is alive. left: neither, the remains of
 * one that was interrupted.
 */
export function listDemos() {
  const names = new Set(namespaces().map((namespace) => namespace.match(/^adsum-demo(-\d+)?(?=-[a-z])/)?.[0]));
  for (const entry of readdirSync(parent)) if (nameForm.test(entry)) names.add(entry);
  names.delete(undefined);
  return [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).map((name) => ({ name, ...stateOf(name) }));
}

function stateOf(name) {
  const runs = namespaces().some((namespace) => belongsTo(namespace, name));
  const owner = readOwner(name);
  // An older adsum wrote no such file: what cannot be known to be of no use any more is not taken down.
  if (!owner) return { state: runs ? 'kept' : 'left' };
  if (owner.started === startOf(owner.pid)) return { state: 'shown', pid: owner.pid };
  return { state: owner.keptSince && runs ? 'kept' : 'left', since: owner.keptSince };
}

/** Takes the first name that is free, for this process. The folder appears with its owner in it or not at all. */
export function claimDemo() {
  for (let n = 1; ; n++) {
    const name = n === 1 ? first : `${first}-${n}`;
    if (existsSync(folderOf(name)) || namespaces().some((namespace) => belongsTo(namespace, name))) continue;
    const prepared = mkdtempSync(path.join(parent, '.adsum-demo-'));
    writeOwner(prepared, {});
    try {
      renameSync(prepared, folderOf(name));
      return name;
    } catch (error) {
      rmSync(prepared, { recursive: true, force: true });
      if (!['ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
    }
  }
}

/** From now on it is there without the process that made it. */
export function keepDemo(name) {
  writeOwner(folderOf(name), { keptSince: new Date().toISOString(), pid: 0 });
}

/** Ends what runs in its namespaces, and removes them and the folder. */
export function removeDemo(name) {
  for (const namespace of namespaces().filter((namespace) => belongsTo(namespace, name))) {
    for (const pid of textOf('ip', ['netns', 'pids', namespace]).split('\n').filter(Boolean)) killQuietly(Number(pid));
    spawnSync('ip', ['netns', 'delete', namespace]);
    rmSync(path.join('/etc/netns', namespace), { recursive: true, force: true });
  }
  rmSync(folderOf(name), { recursive: true, force: true });
  try {
    rmdirSync('/etc/netns');
  } catch {
    // Not there, or somebody else's files are in it.
  }
}

/** `adsum-demo-2-web` is of `adsum-demo-2`, and not of `adsum-demo`: no host is named like a number. */
function belongsTo(namespace, name) {
  return namespace.startsWith(`${name}-`) && /^[a-z]/.test(namespace.slice(name.length + 1));
}

function namespaces() {
  return [...textOf('ip', ['netns', 'list']).matchAll(/^adsum-demo-[a-z0-9-]+/gm)].map(([name]) => name);
}

function writeOwner(folder, more) {
  writeFileSync(path.join(folder, 'owner.json.new'), JSON.stringify({ pid: process.pid, started: startOf(process.pid), ...more }));
  renameSync(path.join(folder, 'owner.json.new'), path.join(folder, 'owner.json'));
}

function readOwner(name) {
  try {
    return JSON.parse(readFileSync(path.join(folderOf(name), 'owner.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

/** When a process was started, which tells it from a later one with the same number. Field 22 of proc_pid_stat(5). */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return 'no such process';
  }
}

function textOf(command, args) {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';
}

function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
