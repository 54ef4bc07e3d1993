import path from 'node:path';
import { adsumProgram } from '../../envoy/lab/envoy-binary.ts';
import { eventually, Hopeless } from '../../envoy/lab/eventually.ts';
import { freePort } from '../../feature/run-adsum.ts';
import { Program, run } from './program.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly mesh: string;
  readonly reason?: string;
}

/** A real `adsum serve --consul` on loopback; its data dir survives restarts. */
export class Adsum {
  readonly grpc: string;
  readonly admin: string;
  readonly #command: readonly string[];
  readonly #env: Record<string, string>;
  #process: Program;
  /** What earlier processes wrote. */
  #before = '';

  static async start(options: { folder: string; flags: readonly string[]; env?: Record<string, string> }): Promise<Adsum> {
    const adsum = new Adsum(options, await freePort(), await freePort());
    await adsum.ready();
    return adsum;
  }

  /** Started, and not waited for. */
  static async launch(options: { folder: string; flags: readonly string[]; env?: Record<string, string> }): Promise<Adsum> {
    return new Adsum(options, await freePort(), await freePort());
  }

  private constructor(options: { folder: string; flags: readonly string[]; env?: Record<string, string> }, grpc: number, admin: number) {
    this.grpc = `127.0.0.1:${grpc}`;
    this.admin = `http://127.0.0.1:${admin}`;
    const where = ['--grpc', this.grpc, '--admin', `127.0.0.1:${admin}`, '--dns', 'off', '--data-dir', path.join(options.folder, 'adsum')];
    this.#command = [process.execPath, adsumProgram, 'serve', ...options.flags, ...where];
    this.#env = options.env ?? {};
    this.#process = new Program(this.#command, this.#env);
  }

  get output(): string {
    return this.#before + this.#process.output;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#process.stop(signal);
  }

  /** Starts it again with the same ports and data dir. */
  async restart(): Promise<void> {
    await this.stop();
    this.#before = this.output;
    this.#process = new Program(this.#command, this.#env);
  }

  async readiness(): Promise<Readiness> {
    return (await (await fetch(`${this.admin}/readyz`)).json()) as Readiness;
  }

  async ready(mesh?: 'fresh' | 'stale'): Promise<void> {
    await eventually(
      async () => {
        if (this.#process.hasEnded) throw new Hopeless('adsum has ended');
        const readiness = await this.readiness();
        if (!readiness.ready || (mesh && readiness.mesh !== mesh)) throw new Error(JSON.stringify(readiness));
      },
      { deadlineMs: 300_000 },
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.#process.complaint}`);
    });
  }

  async get<T>(where: string): Promise<T> {
    const response = await fetch(`${this.admin}${where}`);
    if (response.status !== 200) throw new Error(`${where}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Another adsum command beside the server. */
  run(...args: string[]): Promise<string> {
    return run([process.execPath, adsumProgram, ...args], { ADSUM_ADDR: this.admin, ...this.#env });
  }

  /** A metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  }
}
