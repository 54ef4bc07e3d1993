import { type ChildProcess, spawn } from 'node:child_process';
import { plainReason } from '../../../scripts/plain-reason.mjs';
import { keepOutput } from './kept-output.ts';
import { commandInside } from './network.ts';

/** A process inside a namespace whose output is kept. */
export class LabProcess {
  readonly child: ChildProcess;
  readonly startedAtMs = Date.now();
  readonly #exit: Promise<number | string>;
  readonly #command: string;
  #output = '';

  constructor(namespace: string, uid: number, command: string[], env: Record<string, string> = {}) {
    const [program = 'false', ...args] = commandInside(namespace, uid, command);
    this.#command = command.join(' ');
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/', env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env } });
    this.child.stdout?.on('data', (chunk: Buffer) => this.keep(chunk));
    this.child.stderr?.on('data', (chunk: Buffer) => this.keep(chunk));
    this.#exit = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    });
  }

  /** Everything it wrote to stdout and stderr so far. */
  get output(): string {
    return this.#output;
  }

  /** What it complains of in one line, and where all of its output is: for messages of failures. */
  get complaint(): string {
    return `${plainReason(this.#output)} (all of it: ${keepOutput(this.#command, this.#output)})`;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.#command} did not start`);
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  protected keep(chunk: Buffer): void {
    this.#output += chunk.toString('utf8');
  }

  /** Waits for its end; the value is the exit code or the signal's name. */
  ended(): Promise<number | string> {
    return this.#exit;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.hasEnded) this.child.kill(signal);
    await this.#exit;
  }

  /** Waits for a text in the output; an end before it is an error that shows the output. */
  async waitForOutput(text: string | RegExp, deadlineMs = 120_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    const isThere = () => (typeof text === 'string' ? this.#output.includes(text) : text.test(this.#output));
    while (!isThere()) {
      if (this.hasEnded) throw new Error(`${this.#command} ended before it said ${text}: ${this.complaint}`);
      if (Date.now() > end) throw new Error(`${this.#command} did not say ${text} in ${deadlineMs} ms: ${this.complaint}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
