import { writeFileSync } from 'node:fs';
import { labEnvoy } from '../../envoy/lab/envoy-binary.ts';
import { eventually, Hopeless } from '../../envoy/lab/eventually.ts';
import { freePort } from '../../feature/run-adsum.ts';
import { Program } from './program.ts';

/** A real Envoy on loopback, on a bootstrap that somebody wrote for this admin port. */
export class LocalEnvoy {
  readonly #process: Program;
  readonly #admin: string;

  /** @param bootstrap gets the address for Envoy's admin interface, gives the bootstrap */
  static async start(file: string, bootstrap: (adminBind: string) => Promise<string>): Promise<LocalEnvoy> {
    const bind = `127.0.0.1:${await freePort()}`;
    writeFileSync(file, await bootstrap(bind));
    const command = [labEnvoy().binary, '-c', file, '--disable-hot-restart', '--concurrency', '1', '--drain-time-s', '2', '-l', 'warning'];
    return new LocalEnvoy(new Program(command), `http://${bind}`);
  }

  private constructor(process: Program, admin: string) {
    this.#process = process;
    this.#admin = admin;
  }

  get output(): string {
    return this.#process.output;
  }

  async get(where: string): Promise<string> {
    return (await fetch(`${this.#admin}${where}`)).text();
  }

  async ready(): Promise<void> {
    await eventually(
      async () => {
        if (this.#process.hasEnded) throw new Hopeless('Envoy has ended');
        if (!(await this.get('/ready')).startsWith('LIVE')) throw new Error('Envoy is not live');
      },
      { deadlineMs: 300_000 },
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.#process.complaint}`);
    });
  }

  async stat(name: string): Promise<number> {
    const text = await this.get(`/stats?filter=${encodeURIComponent(`^${name.replaceAll('.', '\\.')}$`)}`);
    return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}
