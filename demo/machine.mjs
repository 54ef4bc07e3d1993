// Hosts as network namespaces on one bridge, and what is started in them. All names begin with `adsum-demo`; `removeMachine`
// takes everything away again, also what an earlier, interrupted demo left behind.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const prefix = 'adsum-demo';
export const folder = `/run/${prefix}`;
const ownerFile = path.join(folder, 'owner');

export const hasIpv6 = existsSync('/proc/net/if_inet6');

export const users = { control: 5991, app: 5990, envoy: 5995 };

/** The process that runs a demo right now, if any. A demo left running on purpose has none. */
export function demoOwner() {
  const pid = existsSync(ownerFile) ? readFileSync(ownerFile, 'utf8').trim() : '';
  return pid && existsSync(`/proc/${pid}`) ? pid : undefined;
}

export function makeMachine(hosts) {
  mkdirSync(path.join(folder, 'logs'), { recursive: true });
  writeFileSync(ownerFile, `${process.pid}\n`);
  const bridge = namespaceOf('bridge');
  ip('netns', 'add', bridge);
  inside('bridge', 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
  inside('bridge', 'ip', 'link', 'set', 'br0', 'up');
  for (const [name, n] of Object.entries(hosts)) addHost(name, n, bridge);
}

/** 10.88.0.N and fd88::N. The default route leads nowhere, but a virtual IP needs a route to get as far as the redirection. */
function addHost(name, n, bridge) {
  ip('netns', 'add', namespaceOf(name));
  ip('link', 'add', 'eth0', 'netns', namespaceOf(name), 'type', 'veth', 'peer', 'name', name, 'netns', bridge);
  inside('bridge', 'ip', 'link', 'set', name, 'master', 'br0', 'up');
  inside(name, 'ip', 'link', 'set', 'lo', 'up');
  inside(name, 'ip', 'address', 'add', `10.88.0.${n}/24`, 'dev', 'eth0');
  if (hasIpv6) inside(name, 'ip', 'address', 'add', `fd88::${n}/64`, 'dev', 'eth0', 'nodad');
  inside(name, 'ip', 'link', 'set', 'eth0', 'up');
  inside(name, 'ip', 'route', 'add', 'default', 'via', '10.88.0.254');
  if (hasIpv6) inside(name, 'ip', '-6', 'route', 'add', 'default', 'via', 'fd88::fffe');
}

/** What `ip netns exec` lays over /etc/resolv.conf: names are asked of the control plane, as on a VM of the mesh. */
export function useDnsServer(name, address) {
  const etc = path.join('/etc/netns', namespaceOf(name));
  mkdirSync(etc, { recursive: true });
  writeFileSync(path.join(etc, 'resolv.conf'), `nameserver ${address}\noptions timeout:1\n`);
}

export function removeMachine() {
  const names = [...execText('ip', ['netns', 'list']).matchAll(new RegExp(`^${prefix}-[a-z0-9-]+`, 'gm'))].map(([name]) => name);
  for (const name of names) {
    for (const pid of execText('ip', ['netns', 'pids', name]).split('\n').filter(Boolean)) killQuietly(Number(pid));
    spawnSync('ip', ['netns', 'delete', name]);
    rmSync(path.join('/etc/netns', name), { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true, force: true });
  try {
    rmdirSync('/etc/netns');
  } catch {
    // Not there, or somebody else's files are in it.
  }
  return names.length > 0;
}

export function namespaceOf(name) {
  return `${prefix}-${name}`;
}

/** Runs a short command inside a host as root and returns what it printed. */
export function inside(name, ...command) {
  return ip('netns', 'exec', namespaceOf(name), ...command);
}

/** Runs a short command inside a host under a user and returns what it printed. */
export function insideAs(name, uid, ...command) {
  return ip('netns', 'exec', namespaceOf(name), ...become(uid), ...command);
}

/** Starts something whose output this process reads. */
export function spawnInside(name, uid, ...command) {
  return spawn('ip', ['netns', 'exec', namespaceOf(name), ...become(uid), ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Starts something that goes on; its output goes to a log, so that it can outlive this process. */
export function start(log, name, uid, ...command) {
  const output = openSync(path.join(folder, 'logs', `${log}.log`), 'w');
  const child = spawn('ip', ['netns', 'exec', namespaceOf(name), ...become(uid), ...command], { stdio: ['ignore', output, output], detached: true });
  child.unref();
  return child;
}

/** The user may read everything, so that a checkout below root's home works, and do nothing more than any other user. */
function become(uid) {
  if (uid === 0) return [];
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search', '--'];
}

function ip(...args) {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function execText(command, args) {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';
}

function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
