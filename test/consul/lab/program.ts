import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { plainReason } from '../../../scripts/plain-reason.mjs';
import { keepOutput } from '../../envoy/lab/kept-output.ts';

/** A program on this machine's loopback whose output is kept. */
export class Program {
  readonly child: ChildProcess;
  readonly #name: string;
  readonly #ended: Promise<number | string>;
  output = '';

  constructor(command: readonly string[], env: Record<string, string> = {}) {
    const [file = 'false', ...args] = command;
    this.#name = file;
    this.child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env } });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString('utf8');
      });
    }
    this.#ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    });
  }

  /** What it complains of in one line, and where all of its output is: for messages of failures. */
  get complaint(): string {
    return `${plainReason(this.output)} (all of it: ${keepOutput(this.#name, this.output)})`;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** A process that does not go in time is killed: nothing is left behind. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.hasEnded) return;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** Runs a short command; a failure is an error with all it wrote. */
export function run(command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const [file = 'false', ...args] = command;
  return new Promise((resolve, reject) => {
    execFile(file, args, { env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env }, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command.join(' ')}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}
