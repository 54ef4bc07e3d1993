import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** Why no containers can be started here; undefined: they can. */
export function whyNoContainers(): string | undefined {
  const engine = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], { encoding: 'utf8' });
  if (engine.error) return 'docker is not installed';
  if (engine.status !== 0) return `no docker engine answers: ${engine.stderr.trim().split('\n')[0]}`;
  if (spawnSync('docker', ['compose', 'version']).status !== 0) return 'docker has no compose plugin (v2)';
  // Crashes are made by killing processes of containers, as the kernel would.
  if (process.getuid?.() !== 0) return 'needs root';
  return undefined;
}

const NEEDED = ['docker-compose.yml', 'Dockerfile', '.dockerignore', '.npmrc', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const NEEDED_FOLDERS = ['proto', 'scripts', 'src', 'demo', 'envoy-configs'];

/** What compose needs of this repository, as a clone under a umask of 077 has it: nobody but its owner reads any of it. */
export function closedClone(): string {
  const clone = mkdtempSync(path.join(tmpdir(), 'adsum-compose-'));
  for (const name of [...NEEDED, ...NEEDED_FOLDERS]) cpSync(path.join(repository, name), path.join(clone, name), { recursive: true });
  for (const entry of readdirSync(clone, { recursive: true, withFileTypes: true })) {
    chmodSync(path.join(entry.parentPath, entry.name), entry.isDirectory() ? 0o700 : 0o600);
  }
  return clone;
}

export interface Output {
  readonly status: number;
  readonly out: string;
}

export async function docker(...args: string[]): Promise<Output> {
  return run(args);
}

/** A run of docker-compose.yml under a name and in a network of its own. */
export class Project {
  readonly name: string;
  readonly #folder: string;
  readonly #net: string;
  readonly #env: NodeJS.ProcessEnv;

  /**
   * @param folder where docker-compose.yml is
   * @param net the first three numbers of a /24
   */
  constructor(folder: string, name: string, net: string) {
    this.name = name;
    this.#folder = folder;
    this.#net = net;
    this.#env = { ...process.env, COMPOSE_PROJECT_NAME: name, ADSUM_NET: net };
  }

  address(host: number): string {
    return `${this.#net}.${host}`;
  }

  try(...args: string[]): Promise<Output> {
    return run(['compose', ...args], { cwd: this.#folder, env: this.#env });
  }

  /** @throws when it fails, with what it printed */
  async compose(...args: string[]): Promise<string> {
    const { status, out } = await this.try(...args);
    if (status !== 0) throw new Error(`docker compose ${args.join(' ')} ended with ${status}:\n${out}`);
    return out;
  }

  async inspect(service: string, format: string): Promise<string> {
    const id = (await this.compose('ps', '-aq', service)).trim();
    return (await docker('inspect', '--format', format, id)).out.trim();
  }

  /** Ends the first process of a container as a crash would, not as `docker kill`, after which it would stay down. */
  async crash(service: string): Promise<void> {
    process.kill(Number(await this.inspect(service, '{{.State.Pid}}')), 'SIGKILL');
  }

  /** What demo/apps/client.mjs printed in the container of an application. */
  async client(service: string, ...args: string[]): Promise<{ status?: number; received?: string; error?: string }> {
    const { status, out } = await this.try('exec', '-T', service, 'node', '/apps/client.mjs', ...args);
    return status === 0 ? JSON.parse(out) : { error: out };
  }

  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 240_000; !(await condition()); ) {
      if (Date.now() > end) throw new Error(`${what}: not within four minutes\n${(await this.try('ps', '-a')).out}`);
      await new Promise((again) => setTimeout(again, 200));
    }
  }
}

/** A container outside the mesh, in its network, that asks everybody in plaintext, again and again. */
export class Outsider {
  readonly #id: string;

  private constructor(id: string) {
    this.#id = id;
  }

  /** @param targets `ADDRESS:PORT` */
  static async start(project: Project, address: string, targets: readonly string[]): Promise<Outsider> {
    const image = `${project.name}-demo-application`;
    const script = `${repository}test/compose/outsider.mjs`;
    const created = await docker('create', '--network', `${project.name}_mesh`, '--ip', address, image, 'node', '/tmp/outsider.mjs', ...targets);
    if (created.status !== 0) throw new Error(created.out);
    const id = created.out.trim();
    await docker('cp', script, `${id}:/tmp/outsider.mjs`);
    const started = await docker('start', id);
    if (started.status !== 0) throw new Error(started.out);
    return new Outsider(id);
  }

  /** Attempts and answers since the last call; waits until each target was asked some times more. */
  async tally(): Promise<{ attempts: number; answers: string[] }> {
    const { status, out } = await docker('exec', this.#id, 'node', '-e', "fetch('http://127.0.0.1:9000').then((a) => a.text()).then(console.log)");
    if (status !== 0) throw new Error(out);
    return JSON.parse(out);
  }

  async remove(): Promise<void> {
    await docker('rm', '--force', '--volumes', this.#id);
  }
}

function run(args: readonly string[], where: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', args, { ...where, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status: status ?? 1, out: status === 0 ? out : out + err }));
  });
}
