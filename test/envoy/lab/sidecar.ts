import type { Agent } from './agent.ts';
import { eventually, Hopeless } from './eventually.ts';
import { LabProcess } from './process.ts';

const adminPort = 19_000;

/** An Envoy started by `adsum envoy`, and its admin interface, asked from inside the namespace. */
export class Sidecar extends LabProcess {
  readonly #app: Agent;

  constructor(namespace: string, uid: number, command: string[], app: Agent) {
    super(namespace, uid, command);
    this.#app = app;
  }

  async admin(path: string, method = 'GET'): Promise<string> {
    const outcome = await this.#app.http({ host: '127.0.0.1', port: adminPort, path, method });
    if (outcome.status !== 200) throw new Error(`${path}: ${outcome.status ?? outcome.error} ${outcome.body ?? ''}`);
    return outcome.body ?? '';
  }

  /** Waits for LIVE: every listener and cluster of the first configuration is there. */
  async ready(): Promise<void> {
    await eventually(async () => {
      if (this.hasEnded) throw new Hopeless(`Envoy has ended: ${this.complaint}`);
      const state = await this.admin('/ready').catch((error: Error) => error.message);
      if (!state.startsWith('LIVE')) throw new Error(`Envoy is ${state}`);
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.complaint}`);
    });
  }

  /** Counters and gauges whose names match, by name. */
  async stats(filter: string): Promise<Record<string, number>> {
    const text = await this.admin(`/stats?filter=${encodeURIComponent(filter)}`);
    const pairs = text.split('\n').flatMap((line) => {
      const [, name, value] = line.match(/^(.*): (\d+)$/) ?? [];
      return name ? [[name, Number(value)] as const] : [];
    });
    return Object.fromEntries(pairs);
  }

  async stat(name: string): Promise<number> {
    const found = await this.stats(`^${name.replaceAll('.', '\\.')}$`);
    return found[name] ?? 0;
  }

  /** How often configuration was taken and refused since the start: what must stand still when nothing changes. */
  async updates(): Promise<Record<string, number>> {
    const counters = await this.stats(
      '^(listener_manager\\.(listener_(added|modified|removed|in_place_updated)|lds\\.(update_success|update_rejected|config_reload))|' +
        'cluster_manager\\.(cluster_(added|modified|removed)|cds\\.(update_rejected|config_reload))|' +
        'listener_manager\\.total_(listeners|filter_chains)_draining|http\\..*\\.rds\\..*\\.config_reload|.*update_rejected)$',
    );
    // What Envoy itself counts at every reconnect, whatever is sent, is no change.
    return Object.fromEntries(Object.entries(counters).filter(([name]) => !name.endsWith('lds.update_success')));
  }

  /** Names of what Envoy runs with now. */
  async listeners(): Promise<string[]> {
    const dump = JSON.parse(await this.admin('/listeners?format=json')) as { listener_statuses?: { name: string }[] };
    return (dump.listener_statuses ?? []).map(({ name }) => name);
  }

  /** Log lines that are no mere information. */
  complaints(): string[] {
    return this.output.split('\n').filter((line) => /\[(warning|error|critical)\]/.test(line));
  }
}
