import type { ReadAccess } from '../admin/read-access.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ConnectedNode, ProxyDirectory, Subscriber } from '../server/proxy-directory.ts';
import type { Topology } from '../topology/topology.ts';
import type { Admission, Refusal } from './admission.ts';
import type { TokenCheck, TokenVerdict } from './consul-token-check.ts';
import { locateProxy } from './locate-proxy.ts';
import { Refusals } from './refusals.ts';

export interface TokenGuardOptions {
  readonly check: TokenCheck;
  /** Undefined before Consul has said. */
  readonly aclsEnabled: () => boolean | undefined;
  readonly readAccess?: ReadAccess;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often a token of an open stream is checked again; default 60 s. */
  readonly recheckMs?: number;
}

interface Guarded {
  readonly node: ConnectedNode;
  readonly subscriber: Subscriber;
  /** The service its token was found good for. Undefined: the stream has been given nothing yet. */
  service?: string;
  served?: { close(): void };
  checking?: string;
}

const RECHECK_MS = 60_000;

/**
 * Stands between the streams and their configuration: with ACLs a sidecar is served only while its token may write the service it
 * stands for. Until that is known the stream has nothing; when it no longer holds the stream ends.
 */
export class TokenGuard implements Admission {
  readonly #options: TokenGuardOptions;
  readonly #streams = new Set<Guarded>();
  readonly #verdicts = new Map<string, TokenVerdict>();
  readonly #refusals: Refusals;
  #inner: ProxyDirectory | undefined;
  #topology: Topology | undefined;
  #consulAnswers = true;
  #cancel = () => {};

  constructor(options: TokenGuardOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.clock);
    this.#scheduleRecheck();
  }

  get readAccess(): ReadAccess | undefined {
    return this.#options.readAccess;
  }

  admit(inner: ProxyDirectory): ProxyDirectory {
    this.#inner = inner;
    return {
      connect: (node, subscriber) => {
        const stream: Guarded = { node, subscriber };
        this.#streams.add(stream);
        this.#admit(stream);
        return {
          close: () => {
            this.#streams.delete(stream);
            stream.served?.close();
          },
        };
      },
    };
  }

  /** A token that may have this service's leaf: that of a sidecar being served. */
  tokenFor(service: string): string | undefined {
    for (const stream of this.#streams) if (stream.service === service && stream.node.token) return stream.node.token;
    return undefined;
  }

  /** The service that a proxy stands for; undefined when there is no such sidecar. */
  serviceOf(proxy: { id: string; nodeName?: string | undefined }): string | undefined {
    return locateProxy(this.#topology, proxy).instance?.proxy?.destination_service_name;
  }

  held(): { id: string; nodeName: string | undefined; reason: string }[] {
    return [...this.#streams].flatMap(({ node: { id, nodeName }, served, checking }) => {
      if (served) return [];
      const unknown = this.#options.aclsEnabled() === undefined ? 'Consul has not been read yet' : locateProxy(this.#topology, { id, nodeName }).reason;
      const reason = unknown ?? (checking === undefined ? 'its token will be checked' : `Consul is being asked whether its token may write ${checking}`);
      return [{ id, nodeName, reason }];
    });
  }

  refusals(): Refusal[] {
    return this.#refusals.list();
  }

  before(topology: Topology): void {
    this.#topology = topology;
    if (!this.#options.aclsEnabled()) return;
    for (const stream of [...this.#streams]) {
      const now = this.serviceOf(stream.node);
      if (stream.service !== undefined && now !== undefined && now !== stream.service) {
        this.#end(stream, 'PERMISSION_DENIED', `${stream.node.id} stands for ${now} now; reconnect to be checked for it`);
      }
    }
  }

  after(): void {
    for (const stream of [...this.#streams]) if (!stream.served) this.#admit(stream);
  }

  close(): void {
    this.#cancel();
    this.#streams.clear();
  }

  #admit(stream: Guarded): void {
    const enabled = this.#options.aclsEnabled();
    if (enabled === undefined) return;
    if (!enabled) {
      this.#serve(stream);
      return;
    }
    const service = this.serviceOf(stream.node);
    if (service === undefined || stream.checking === service) return;
    stream.checking = service;
    void this.#check(stream.node.token, service).then((verdict) => {
      delete stream.checking;
      if (!this.#streams.has(stream) || stream.served) return;
      if (this.serviceOf(stream.node) !== service) return this.#admit(stream);
      if (verdict === 'allowed') {
        stream.service = service;
        this.#serve(stream);
      } else this.#refuse(stream, service, verdict);
    });
  }

  #serve(stream: Guarded): void {
    this.#refusals.forget(stream.node);
    if (this.#inner) stream.served = this.#inner.connect(stream.node, stream.subscriber);
  }

  #refuse(stream: Guarded, service: string, verdict: TokenVerdict): void {
    const { token, id } = stream.node;
    if (verdict === 'unknown') {
      this.#end(stream, 'UNAVAILABLE', 'Consul cannot be asked whether the token is good; try again');
      return;
    }
    const message =
      token === undefined
        ? `${id} presents no token: give one with service:write on ${service} (adsum envoy --token, CONSUL_HTTP_TOKEN)`
        : `the token of ${id} may not write the service ${service}, or is no token of this Consul`;
    this.#end(stream, 'PERMISSION_DENIED', message);
  }

  #end(stream: Guarded, code: 'PERMISSION_DENIED' | 'UNAVAILABLE', message: string): void {
    const { id, nodeName, peer } = stream.node;
    if (this.#refusals.add(stream.node, message)) this.#options.logger.warn({ proxy: id, node: nodeName, peer, reason: message }, 'stream refused');
    this.#streams.delete(stream);
    stream.served?.close();
    stream.subscriber.end(code, message);
  }

  /** What was found last stands while Consul cannot be asked: an outage of Consul takes no sidecar down. */
  async #check(token: string | undefined, service: string): Promise<TokenVerdict> {
    const key = JSON.stringify([token, service]);
    const verdict = await this.#options.check(token, service);
    this.#consulAnswers = verdict !== 'unknown';
    if (verdict === 'unknown') return this.#verdicts.get(key) ?? 'unknown';
    if (verdict === 'allowed') this.#verdicts.set(key, verdict);
    else this.#verdicts.delete(key);
    return verdict;
  }

  #scheduleRecheck(): void {
    this.#cancel = this.#options.clock.after(this.#options.recheckMs ?? RECHECK_MS, () => {
      void this.#recheck().then(() => this.#scheduleRecheck());
    });
  }

  /** One question per token and service, however many streams share them; one after the other, for Consul's sake. */
  async #recheck(): Promise<void> {
    if (!this.#options.aclsEnabled()) return;
    const pairs = new Map<string, Guarded[]>();
    for (const stream of this.#streams) {
      const service = stream.service ?? this.serviceOf(stream.node);
      if (service === undefined) continue;
      const key = JSON.stringify([stream.node.token, service]);
      pairs.set(key, [...(pairs.get(key) ?? []), stream]);
    }
    // while Consul is away a sidecar that comes back must still be known
    if (this.#consulAnswers) for (const key of this.#verdicts.keys()) if (!pairs.has(key)) this.#verdicts.delete(key);
    for (const [key, streams] of pairs) {
      const [, service] = JSON.parse(key) as [unknown, string];
      const verdict = await this.#check(streams[0]?.node.token, service);
      for (const stream of streams) {
        if (!this.#streams.has(stream)) continue;
        // Served before ACLs were switched on, or waiting: the same rules apply.
        if (verdict === 'allowed') stream.service ??= service;
        else if (verdict === 'denied') this.#refuse(stream, service, verdict);
      }
    }
  }
}
