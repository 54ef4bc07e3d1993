import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Host } from '../../src/redirect/host.ts';

export type Backend = 'nft' | 'legacy';

/** The host under test and a peer, joined by one cable. The host reaches 240.0.0.0/4 through the peer. */
export const HOST = 'adr-host';
export const PEER = 'adr-peer';
export const ADDRESS = { host4: '10.99.0.1', peer4: '10.99.0.2', host6: 'fd99::1', peer6: 'fd99::2' };

export function createNetwork(): void {
  removeNetwork();
  const commands = [
    `netns add ${HOST}`,
    `netns add ${PEER}`,
    `link add adr0 netns ${HOST} type veth peer name adr0 netns ${PEER}`,
    ...[HOST, PEER].flatMap((ns) => [`-n ${ns} link set lo up`, `-n ${ns} link set adr0 up`]),
    `-n ${HOST} addr add ${ADDRESS.host4}/24 dev adr0`,
    `-n ${PEER} addr add ${ADDRESS.peer4}/24 dev adr0`,
    `-n ${HOST} addr add ${ADDRESS.host6}/64 dev adr0 nodad`,
    `-n ${PEER} addr add ${ADDRESS.peer6}/64 dev adr0 nodad`,
    `-n ${HOST} route add default via ${ADDRESS.peer4}`,
  ];
  for (const command of commands) execFileSync('ip', command.split(' '));
}

export function removeNetwork(): void {
  for (const ns of [HOST, PEER]) spawnSync('ip', ['netns', 'del', ns], { stdio: 'ignore' });
}

/** The tables of the host namespace, through one of the two implementations of iptables. */
export function namespaceHost(backend: Backend): Host {
  const run: Host['run'] = (program, args, input = '') => {
    const real = program.replace(/^(ip6?tables)-/, `$1-${backend}-`);
    const result = spawnSync('ip', ['netns', 'exec', HOST, real, ...args], { input, encoding: 'utf8' });
    return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr };
  };
  return {
    run,
    readFile(file) {
      const { status, stdout } = run('cat', [file]);
      return status === 0 ? stdout : undefined;
    },
  };
}

/** Both families' tables, without comments, counters and tables in which nothing stands. */
export function tables(host: Host): string {
  const sections = ['iptables-save', 'ip6tables-save'].flatMap((program) => host.run(program, []).stdout.split(/^(?=\*)/m));
  return sections
    .map((section) => section.replace(/^#.*\n/gm, '').replace(/ \[\d+:\d+\]$/gm, ''))
    .filter((section) => /^(-A|:\S+ (-|DROP))/m.test(section))
    .join('');
}

const children = new Set<ChildProcess>();

export function stopChildren(): void {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
}

function node(ns: string, script: string, ...args: string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', ns, process.execPath, '--input-type=module', '-e', script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  return child;
}

/** Servers that greet with a name and echo: `address port name` each. */
export async function serve(ns: string, ...listeners: string[]): Promise<void> {
  const script = `
    import net from 'node:net';
    for (const listener of process.argv.slice(1)) {
      const [host, port, name] = listener.split(' ');
      const server = net.createServer((socket) => { socket.on('error', () => {}); socket.write(name + '\\n'); socket.pipe(socket); });
      await new Promise((done) => server.listen({ port: Number(port), host, ipv6Only: true }, done));
    }
    console.log('ready');`;
  const child = node(ns, script, ...listeners);
  await nextLine(child);
}

/** Who answers a new connection: the greeting, or the error code. */
export function dial(ns: string, address: string, port: number, uid = 0): string {
  const script = `
    import net from 'node:net';
    const [address, port, uid] = process.argv.slice(1);
    process.setuid(Number(uid));
    const socket = net.connect(Number(port), address);
    setTimeout(() => { console.log('timeout'); process.exit(); }, 60_000);
    socket.once('data', (data) => { console.log(String(data).trim()); process.exit(); });
    socket.once('error', (error) => { console.log(error.code); process.exit(); });`;
  const args = ['netns', 'exec', ns, process.execPath, '--input-type=module', '-e', script, address, String(port), String(uid)];
  return spawnSync('ip', args, { encoding: 'utf8' }).stdout.trim();
}

/** A connection that stays open. `say` sends a word and returns what comes back, or the error. */
export async function hold(ns: string, address: string, port: number): Promise<{ greeting: string; say(word: string): Promise<string> }> {
  const script = `
    import net from 'node:net';
    const [address, port] = process.argv.slice(1);
    const socket = net.connect(Number(port), address);
    let waiting;
    process.stdin.on('data', (data) => { socket.write(data); waiting = setTimeout(() => console.log('timeout'), 60_000); });
    socket.on('data', (data) => { clearTimeout(waiting); console.log(String(data).trim()); });
    socket.on('error', (error) => { clearTimeout(waiting); console.log(error.code); });`;
  const child = node(ns, script, address, String(port));
  const lines = lineReader(child);
  return {
    greeting: await lines(),
    async say(word) {
      child.stdin?.write(`${word}\n`);
      return lines();
    },
  };
}

function nextLine(child: ChildProcess): Promise<string> {
  return lineReader(child)();
}

function lineReader(child: ChildProcess): () => Promise<string> {
  if (!child.stdout) throw new Error('the child has no stdout');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => String((await lines.next()).value);
}
