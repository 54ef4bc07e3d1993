// Hosts as network namespaces on one bridge, and what is started in them under users of their own. demos.mjs takes it all away again.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { executableFor, publish, publishAdsum } from '../scripts/published-program.mjs';
import { folderOf } from './demos.mjs';

const hasIpv6 = existsSync('/proc/net/if_inet6');

/** Nobody else has these numbers; none of the users has rights of its own. */
export const users = { control: 5991, app: 5990, envoy: 5995 };

export class Machine {
  /** @param name what namespaces and folder are named after */
  constructor(name, hosts) {
    this.name = name;
    this.folder = folderOf(name);
    this.hasIpv6 = hasIpv6;
    chmodSync(this.folder, 0o755);
    mkdirSync(this.logs);
    const bridge = this.namespaceOf('bridge');
    ip('netns', 'add', bridge);
    this.inside('bridge', 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    this.inside('bridge', 'ip', 'link', 'set', 'br0', 'up');
    for (const [host, n] of Object.entries(hosts)) this.#addHost(host, n, bridge);
  }

  get logs() {
    return path.join(this.folder, 'logs');
  }

  /** Copies what the users run to where all of them reach it: the clone may be root's alone. */
  publishPrograms(envoy) {
    const programs = path.join(this.folder, 'programs');
    this.adsumProgram = publishAdsum(programs);
    this.apps = publish(fileURLToPath(new URL('apps', import.meta.url)), path.join(programs, 'apps'));
    this.node = executableFor(users.app, process.execPath, path.join(programs, 'bin'));
    this.envoy = executableFor(users.envoy, envoy, path.join(programs, 'bin'));
  }

  /** 10.88.0.N and fd88::N. The default route leads nowhere, but a virtual IP needs a route to get as far as the redirection. */
  #addHost(host, n, bridge) {
    ip('netns', 'add', this.namespaceOf(host));
    ip('link', 'add', 'eth0', 'netns', this.namespaceOf(host), 'type', 'veth', 'peer', 'name', host, 'netns', bridge);
    this.inside('bridge', 'ip', 'link', 'set', host, 'master', 'br0', 'up');
    this.inside(host, 'ip', 'link', 'set', 'lo', 'up');
    this.inside(host, 'ip', 'address', 'add', `10.88.0.${n}/24`, 'dev', 'eth0');
    if (hasIpv6) this.inside(host, 'ip', 'address', 'add', `fd88::${n}/64`, 'dev', 'eth0', 'nodad');
    this.inside(host, 'ip', 'link', 'set', 'eth0', 'up');
    this.inside(host, 'ip', 'route', 'add', 'default', 'via', '10.88.0.254');
    if (hasIpv6) this.inside(host, 'ip', '-6', 'route', 'add', 'default', 'via', 'fd88::fffe');
  }

  /** What `ip netns exec` lays over /etc/resolv.conf: names are asked of the control plane, as on a VM of the mesh. */
  useDnsServer(host, address) {
    const etc = path.join('/etc/netns', this.namespaceOf(host));
    mkdirSync(etc, { recursive: true });
    writeFileSync(path.join(etc, 'resolv.conf'), `nameserver ${address}\n`);
  }

  namespaceOf(host) {
    return `${this.name}-${host}`;
  }

  /** Runs a short command inside a host as root and returns what it printed. */
  inside(host, ...command) {
    return ip('netns', 'exec', this.namespaceOf(host), ...command);
  }

  /** Runs a command inside a host under a user; resolves with what it printed, rejects with what it complained of. */
  run(host, uid, ...command) {
    return new Promise((resolve, reject) => {
      execFile('ip', this.#words(host, uid, command), { encoding: 'utf8', cwd: '/' }, (error, stdout, stderr) => {
        if (error) reject(new Error(stderr.trim() || error.message));
        else resolve(stdout);
      });
    });
  }

  /** Starts something whose output this process reads. */
  spawnInside(host, uid, ...command) {
    return spawn('ip', this.#words(host, uid, command), { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
  }

  /** Starts something that goes on; its output goes to a log, so that it can outlive this process. */
  start(log, host, uid, ...command) {
    const file = path.join(this.logs, `${log}.log`);
    const output = openSync(file, 'w');
    const child = spawn('ip', this.#words(host, uid, command), { stdio: ['ignore', output, output], detached: true, cwd: '/' });
    child.unref();
    return { log: file, hasEnded: () => child.exitCode !== null || child.signalCode !== null, output: () => readFileSync(file, 'utf8') };
  }

  #words(host, uid, command) {
    return ['netns', 'exec', this.namespaceOf(host), ...become(uid), ...command];
  }
}

function become(uid) {
  return uid === 0 ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all', '--'];
}

function ip(...args) {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
