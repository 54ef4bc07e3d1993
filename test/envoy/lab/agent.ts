import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { labNode, published } from './envoy-binary.ts';
import { LabProcess } from './process.ts';

const program = published('agent.mjs') ?? fileURLToPath(new URL('./agent.mjs', import.meta.url));

export interface HttpRequest {
  host: string;
  /** Default 80. */
  port?: number;
  /** Sent exactly as written, default '/'. */
  path?: string;
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string;
  timeoutMs?: number;
}

export interface HttpOutcome {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** ECONNREFUSED, ECONNRESET, TIMEOUT …, or a resolver's code. */
  error?: string;
  ms: number;
}

export interface TcpRequest {
  host: string;
  port: number;
  send?: string;
  /** Stop as soon as this text was received. */
  expect?: string;
  timeoutMs?: number;
  /** As for Node's tls.connect; the server is never verified. */
  tls?: { cert?: string; key?: string; servername?: string; ALPNProtocols?: string[] };
}

export interface TcpOutcome {
  connected: boolean;
  secured: boolean;
  /** The server's certificate, PEM. */
  peer?: string;
  received: string;
  /** fin and error: the peer ended it. open: `expect` arrived. timeout: nothing more came. */
  end: 'fin' | 'error' | 'closed' | 'open' | 'timeout';
  error?: string;
  ms: number;
}

export interface TrafficReport {
  count: number;
  connections: number;
  failures: { atMs: number; reason: string }[];
}

/** What an HTTP application of the lab saw of a request. */
export interface SeenRequest {
  name: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  raw_headers: string[];
  body: string;
}

export type TrafficKind = 'http' | 'http-keepalive' | 'tcp' | 'tcp-long';

/** A host's application: a Node process in its namespace that serves and dials on command. */
export class Agent extends LabProcess {
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  constructor(namespace: string, uid: number, dnsServer: string) {
    super(namespace, uid, [labNode, program], { LAB_DNS: dnsServer });
    if (!this.child.stdout) throw new Error('an agent needs pipes');
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => this.#settle(line));
    this.child.stdin?.on('error', () => {});
    void this.ended().then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the agent has ended: ${this.complaint}`));
    });
  }

  protected override keep(): void {
    // Its output is the conversation itself; a crash shows as a failed call.
  }

  #settle(line: string): void {
    const { id, result, error } = JSON.parse(line) as { id: number; result: never; error?: string };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }

  #call<T>(operation: string, args: object = {}): Promise<T> {
    if (this.hasEnded) return Promise.reject(new Error('the agent has ended'));
    const id = ++this.#lastId;
    this.child.stdin?.write(`${JSON.stringify({ ...args, id, operation })}\n`);
    return new Promise<T>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  ping(): Promise<string> {
    return this.#call('ping');
  }

  resolve(name: string, type = 'A', server?: string): Promise<{ answers: unknown[]; error?: string }> {
    return this.#call('resolve', { name, type, server });
  }

  http(request: HttpRequest): Promise<HttpOutcome> {
    return this.#call('http', request);
  }

  /** Requests until the wanted outcome; `afterMs` is the time from `sinceMs` to it. */
  pollHttp(request: HttpRequest & { wantStatus?: number; wantRefusal?: boolean; bodyHas?: string; sinceMs: number; deadlineMs?: number }) {
    return this.#call<HttpOutcome & { afterMs: number }>('pollHttp', request);
  }

  tcp(request: TcpRequest): Promise<TcpOutcome> {
    return this.#call('tcp', request);
  }

  pollTcp(request: TcpRequest & { want: 'bytes' | 'refusal'; sinceMs: number; deadlineMs?: number }) {
    return this.#call<TcpOutcome & { afterMs: number }>('pollTcp', request);
  }

  open(target: { host: string; port: number; expect?: string }): Promise<{ connection: number; received: string; end?: string }> {
    return this.#call('open', target);
  }

  exchange(connection: number, send: string): Promise<{ received: string; end?: string; error?: string }> {
    return this.#call('exchange', { connection, send });
  }

  close(connection: number): Promise<void> {
    return this.#call('close', { connection });
  }

  listen(server: { kind: 'http' | 'banner'; name: string; port: number; address?: string }): Promise<void> {
    return this.#call('listen', server);
  }

  received(port: number): Promise<{ connections: number; bytes: string }> {
    return this.#call('received', { port });
  }

  unlisten(port: number): Promise<void> {
    return this.#call('unlisten', { port });
  }

  async startTraffic(kind: TrafficKind, target: HttpRequest & { pauseMs?: number }): Promise<Traffic> {
    const traffic = await this.#call<number>('startTraffic', { kind, ...target });
    return {
      read: () => this.#call('readTraffic', { traffic }),
      stop: () => this.#call('stopTraffic', { traffic }),
    };
  }
}

/** Constant traffic that counts what fails. */
export interface Traffic {
  read(): Promise<TrafficReport>;
  stop(): Promise<TrafficReport>;
}
