import { chmodSync, chownSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Agent } from './agent.ts';
import { adsumProgram, labNode } from './envoy-binary.ts';
import { eventually, Hopeless } from './eventually.ts';
import { LabProcess } from './process.ts';

/** The user of the control plane: neither root nor an application. */
const controlUid = 5991;

export const grpcPort = 18_000;
const adminPort = 18_001;

export interface RunningProxy {
  proxy_id: string;
  [field: string]: unknown;
}

/** `adsum serve` on a mesh file that a test rewrites, in a namespace of its own. */
export class ControlPlane {
  readonly meshFile: string;
  readonly address: string;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #agent: Agent;
  #flags: string[];
  #process: LabProcess | undefined;
  /** What earlier processes wrote, oldest first. */
  #earlierOutput = '';

  constructor(options: { namespace: string; address: string; folder: string; agent: Agent; flags?: string[] }) {
    this.#namespace = options.namespace;
    this.address = options.address;
    this.#folder = path.join(options.folder, 'control-plane');
    this.#agent = options.agent;
    this.#flags = options.flags ?? ['--insecure-plaintext', '--allow-anonymous'];
    mkdirSync(this.dataDir, { recursive: true });
    for (const folder of [this.#folder, this.dataDir]) chownSync(folder, controlUid, controlUid);
    chmodSync(this.dataDir, 0o700);
    this.meshFile = path.join(this.#folder, 'mesh.json');
  }

  get dataDir(): string {
    return path.join(this.#folder, 'data');
  }

  get output(): string {
    return this.#earlierOutput + (this.#process?.output ?? '');
  }

  /** Replaces the mesh file by rename and returns the moment of the rename (epoch, ms). */
  writeMesh(mesh: object): number {
    const temporary = `${this.meshFile}.new`;
    writeFileSync(temporary, JSON.stringify(mesh, undefined, 2));
    const nowMs = Date.now();
    renameSync(temporary, this.meshFile);
    return nowMs;
  }

  /** Starts it and waits until it serves a complete mesh. */
  async start(): Promise<void> {
    this.#earlierOutput = this.output;
    const listen = ['--grpc', `${this.address}:${grpcPort}`, '--admin', `127.0.0.1:${adminPort}`, '--dns', `${this.address}:53`];
    const command = [labNode, adsumProgram, 'serve', '--mesh', this.meshFile, '--data-dir', this.dataDir, ...listen, ...this.#flags];
    this.#process = new LabProcess(this.#namespace, controlUid, command);
    await eventually(async () => {
      if (this.#process?.hasEnded) throw new Hopeless('adsum serve has ended');
      const outcome = await this.#agent.http({ host: '127.0.0.1', port: adminPort, path: '/readyz' });
      if (outcome.status !== 200) throw new Error(`/readyz: ${outcome.status ?? outcome.error} ${outcome.body ?? ''}`);
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.#process?.complaint}`);
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#process?.stop(signal);
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  async admin<T>(requestPath: string): Promise<T> {
    const outcome = await this.#agent.http({ host: '127.0.0.1', port: adminPort, path: requestPath });
    if (outcome.status !== 200) throw new Error(`${requestPath}: ${outcome.status ?? outcome.error} ${outcome.body ?? ''}`);
    return JSON.parse(outcome.body ?? '') as T;
  }

  /** Runs another adsum command beside the server and returns what it printed; a failure is an error with all of it. */
  async run(...args: string[]): Promise<string> {
    const command = new LabProcess(this.#namespace, controlUid, [labNode, adsumProgram, ...args], { ADSUM_ADDR: `http://127.0.0.1:${adminPort}` });
    const code = await command.ended();
    if (code !== 0) throw new Error(`adsum ${args.join(' ')} ended with ${code}:\n${command.output}`);
    return command.output;
  }

  /** A folder that the control plane's user can write to. */
  writableFolder(name: string): string {
    const folder = path.join(this.#folder, name);
    mkdirSync(folder, { recursive: true });
    chownSync(folder, controlUid, controlUid);
    return folder;
  }
}
