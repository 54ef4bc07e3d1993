import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';

// ip and sysctl lie in sbin, which not everybody who is root has on the PATH.
process.env.PATH = [process.env.PATH, '/usr/sbin', '/sbin'].filter(Boolean).join(':');

/** Names of everything a run makes begin with this and the run's process id, so that a later run can clear up after a dead one. */
const prefix = 'adsumlab';

/** The sidecars' own user, and the one applications run as. No passwd entries needed. */
export const proxyUid = 5995;
export const appUid = 5990;

export interface NetworkHost {
  name: string;
  namespace: string;
  ipv4: string;
  ipv6: string;
}

/**
 * Hosts as network namespaces on one bridge, which lives in a namespace of its own: nothing is visible in the machine's own
 * network, and whatever goes from host to host passes `br0`, where it can be recorded.
 */
export class Network {
  readonly id = `${prefix}-${process.pid}-${randomBytes(2).toString('hex')}`;
  readonly bridge = `${this.id}-bridge`;
  readonly hosts: NetworkHost[] = [];
  readonly #onExit = () => this.remove();

  constructor() {
    removeLeftovers();
    process.once('exit', this.#onExit);
    ip('netns', 'add', this.bridge);
    inside(this.bridge, 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0');
    inside(this.bridge, 'ip', 'link', 'set', 'br0', 'up');
  }

  /** Each host gets 10.77.0.N and fd77::N, and a default route, without which a virtual IP has no way to the redirection. */
  addHost(name: string): NetworkHost {
    const n = this.hosts.length + 1;
    const host: NetworkHost = { name, namespace: `${this.id}-${name}`, ipv4: `10.77.0.${n}`, ipv6: `fd77::${n}` };
    this.hosts.push(host);
    ip('netns', 'add', host.namespace);
    ip('link', 'add', 'eth0', 'netns', host.namespace, 'type', 'veth', 'peer', 'name', `port${n}`, 'netns', this.bridge);
    inside(this.bridge, 'ip', 'link', 'set', `port${n}`, 'master', 'br0', 'up');
    inside(host.namespace, 'ip', 'link', 'set', 'lo', 'up');
    // DNS on port 53 and a stand-in for SSH on 22, without root.
    inside(host.namespace, 'sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=0');
    this.addAddress(host, `${host.ipv4}/24`);
    this.addAddress(host, `${host.ipv6}/64`);
    inside(host.namespace, 'ip', 'link', 'set', 'eth0', 'up');
    inside(host.namespace, 'ip', 'route', 'add', 'default', 'via', '10.77.0.254');
    inside(host.namespace, 'ip', '-6', 'route', 'add', 'default', 'via', 'fd77::fffe');
    return host;
  }

  addAddress(host: NetworkHost, address: string): void {
    // Duplicate address detection would keep an IPv6 address unusable for a second.
    inside(host.namespace, 'ip', 'address', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
  }

  /** Kills what still runs in the namespaces and removes them; safe to call twice. */
  remove(): void {
    process.off('exit', this.#onExit);
    for (const namespace of [...this.hosts.map((host) => host.namespace), this.bridge]) removeNamespace(namespace);
    this.hosts.length = 0;
  }
}

/** Runs a short command inside a namespace as root and returns what it printed; throws with its stderr when it fails. */
export function inside(namespace: string, command: string, ...args: string[]): string {
  return ip('netns', 'exec', namespace, command, ...args);
}

/** The words that run a command in a namespace under a user, who has no rights beyond those of any user. */
export function commandInside(namespace: string, uid: number, command: string[]): string[] {
  const become = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all'];
  return ['ip', 'netns', 'exec', namespace, ...(uid === 0 ? [] : become), ...command];
}

/** Why no namespaces can be made here, or undefined when they can. */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const name = `${prefix}-${process.pid}-try`;
  const run = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (run.error) return 'ip (package iproute2) is not installed';
  if (run.status !== 0) return `network namespaces cannot be made here: ${run.stderr.trim()}`;
  removeNamespace(name);
  return undefined;
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function removeNamespace(name: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
  if (pids.status !== 0) return;
  for (const pid of pids.stdout.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
  spawnSync('ip', ['netns', 'delete', name]);
}

function removeLeftovers(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const [name, owner] = line.match(new RegExp(`^${prefix}-(\\d+)-\\S+`)) ?? [];
    if (name && owner && Number(owner) !== process.pid && !existsSync(`/proc/${owner}`)) removeNamespace(name);
  }
}
