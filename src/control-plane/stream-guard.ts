import type { ReadAccess } from '../admin/read-access.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ConnectedNode, ProxyConnection, ProxyDirectory, Subscriber } from '../server/proxy-directory.ts';
import { resolveProxyIdentity } from '../topology/proxy-identity.ts';
import type { Topology } from '../topology/topology.ts';
import type { Admission, Refusal } from './admission.ts';
import { locateProxy } from './locate-proxy.ts';
import { Refusals } from './refusals.ts';
import type { Claim, Proof, Verdict, Verifier } from './verifier.ts';

export interface StreamGuardOptions {
  readonly verifier: Verifier;
  /** Whether a proof is asked for at all. Undefined while that is not known yet: streams wait, for the reason in `waitingFor`. */
  readonly required: () => boolean | undefined;
  readonly waitingFor?: string;
  readonly readAccess?: ReadAccess | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the proof of an open stream is checked again; default 60 s. */
  readonly recheckMs?: number;
}

interface Guarded {
  readonly node: ConnectedNode;
  readonly subscriber: Subscriber;
  /** What its proof was found good for. Undefined: the stream has been given nothing yet. */
  claim?: Claim;
  served?: ProxyConnection;
  checking?: Claim;
}

const RECHECK_MS = 60_000;

/**
 * Stands between the streams and their configuration: a proxy is served only while its proof is good for the service it stands for.
 * Until that is known the stream has nothing; when it no longer holds the stream ends.
 */
export class StreamGuard implements Admission {
  readonly #options: StreamGuardOptions;
  readonly #streams = new Set<Guarded>();
  /** What was allowed last, by proof and claim. */
  readonly #allowed = new Set<string>();
  readonly #refusals: Refusals;
  #inner: ProxyDirectory | undefined;
  #topology: Topology | undefined;
  #verifierAnswers = true;
  #cancel = () => {};

  constructor(options: StreamGuardOptions) {
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
          answered: (verdict) => stream.served?.answered?.(verdict),
        };
      },
    };
  }

  /** A token that may have this service's leaf: that of a proxy being served. */
  tokenFor(service: string): string | undefined {
    for (const { claim, node } of this.#streams) if (claim?.identity.service === service && node.token) return node.token;
    return undefined;
  }

  /** The service that a proxy stands for; undefined when there is no such proxy. */
  serviceOf(proxy: { id: string; nodeName?: string | undefined }): string | undefined {
    return this.#claimOf(proxy)?.identity.service;
  }

  held(): { id: string; nodeName: string | undefined; peer: string; reason: string }[] {
    return [...this.#streams].flatMap(({ node: { id, nodeName, peer }, served, checking }) => {
      if (served) return [];
      const unknown = this.#options.required() === undefined ? this.#options.waitingFor : locateProxy(this.#topology, { id, nodeName }).reason;
      const checks = checking === undefined ? 'its identity will be checked' : `it is being checked whether it is ${checking.identity.service}`;
      return [{ id, nodeName, peer, reason: unknown ?? checks }];
    });
  }

  refusals(): Refusal[] {
    return this.#refusals.list();
  }

  before(topology: Topology): void {
    this.#topology = topology;
    if (!this.#options.required()) return;
    for (const stream of [...this.#streams]) {
      const now = this.#claimOf(stream.node);
      if (stream.claim === undefined || now === undefined || sameClaim(now, stream.claim)) continue;
      this.#end(stream, 'PERMISSION_DENIED', `${now.id} stands for ${now.identity.service} on ${now.node} now; reconnect to be checked for it`);
    }
  }

  after(): void {
    for (const stream of [...this.#streams]) if (!stream.served) this.#admit(stream);
  }

  close(): void {
    this.#cancel();
    this.#streams.clear();
  }

  /** One question per proof and claim, however many streams share them; one after the other, so that whoever is asked is not flooded. */
  async recheck(): Promise<void> {
    if (!this.#options.required()) return;
    const groups = new Map<string, { readonly proof: Proof; readonly claim: Claim; readonly streams: Guarded[] }>();
    for (const stream of this.#streams) {
      const claim = stream.claim ?? this.#claimOf(stream.node);
      if (claim === undefined) continue;
      const key = keyOf(stream.node, claim);
      const group = groups.get(key) ?? { proof: stream.node, claim, streams: [] };
      group.streams.push(stream);
      groups.set(key, group);
    }
    // while nobody can be asked, a sidecar that comes back must still be known
    if (this.#verifierAnswers) for (const key of this.#allowed) if (!groups.has(key)) this.#allowed.delete(key);
    for (const { proof, claim, streams } of groups.values()) {
      const verdict = await this.#check(proof, claim);
      for (const stream of streams) {
        if (!this.#streams.has(stream)) continue;
        // Served before a proof was asked for, or waiting: the same rules apply.
        if (verdict.verdict === 'allowed') stream.claim ??= claim;
        else if (verdict.verdict === 'denied') this.#refuse(stream, verdict);
      }
    }
  }

  #claimOf(proxy: { id: string; nodeName?: string | undefined }): Claim | undefined {
    const topology = this.#topology;
    const { instance } = locateProxy(topology, proxy);
    const identity = topology && instance && resolveProxyIdentity(instance, topology);
    return identity && { id: instance.id, node: instance.node, identity };
  }

  #admit(stream: Guarded): void {
    const required = this.#options.required();
    if (required === undefined) return;
    if (!required) {
      this.#serve(stream);
      return;
    }
    const claim = this.#claimOf(stream.node);
    if (claim === undefined || (stream.checking && sameClaim(stream.checking, claim))) return;
    stream.checking = claim;
    void this.#check(stream.node, claim).then((verdict) => {
      if (stream.checking === claim) delete stream.checking;
      if (!this.#streams.has(stream) || stream.served) return;
      const now = this.#claimOf(stream.node);
      if (!now || !sameClaim(now, claim)) return this.#admit(stream);
      if (verdict.verdict === 'allowed') {
        stream.claim = claim;
        this.#serve(stream);
      } else this.#refuse(stream, verdict);
    });
  }

  #serve(stream: Guarded): void {
    this.#refusals.forget(stream.node);
    if (this.#inner) stream.served = this.#inner.connect(stream.node, stream.subscriber);
  }

  #refuse(stream: Guarded, { verdict, reason }: Exclude<Verdict, { verdict: 'allowed' }>): void {
    this.#end(stream, verdict === 'unknown' ? 'UNAVAILABLE' : 'PERMISSION_DENIED', reason);
  }

  #end(stream: Guarded, code: 'PERMISSION_DENIED' | 'UNAVAILABLE', message: string): void {
    const { id, nodeName, peer } = stream.node;
    if (this.#refusals.add(stream.node, message)) this.#options.logger.warn({ proxy: id, node: nodeName, peer, reason: message }, 'stream refused');
    this.#streams.delete(stream);
    stream.served?.close();
    stream.subscriber.end(code, message);
  }

  /** What was found last stands while nobody can be asked: an outage of Consul takes no sidecar down. */
  async #check(proof: Proof, claim: Claim): Promise<Verdict> {
    const key = keyOf(proof, claim);
    const verdict = await this.#ask(proof, claim);
    this.#verifierAnswers = verdict.verdict !== 'unknown';
    if (verdict.verdict === 'unknown') return this.#allowed.has(key) ? { verdict: 'allowed' } : verdict;
    if (verdict.verdict === 'allowed') this.#allowed.add(key);
    else this.#allowed.delete(key);
    return verdict;
  }

  /** A bug in a verifier admits nobody, and ends nothing but the stream it was about. */
  async #ask(proof: Proof, claim: Claim): Promise<Verdict> {
    try {
      return await this.#options.verifier.verify(proof, claim);
    } catch (error) {
      this.#options.logger.error({ proxy: claim.id, error: error instanceof Error ? error.stack : String(error) }, 'a proof of identity could not be checked');
      return { verdict: 'unknown', reason: 'adsum failed to check the identity; its log says why' };
    }
  }

  #scheduleRecheck(): void {
    this.#cancel = this.#options.clock.after(this.#options.recheckMs ?? RECHECK_MS, () => {
      void this.recheck().then(() => this.#scheduleRecheck());
    });
  }
}

function sameClaim(one: Claim, other: Claim): boolean {
  return one.identity.spiffeId === other.identity.spiffeId && one.node === other.node;
}

function keyOf({ token, certificate }: Proof, { identity, node }: Claim): string {
  return JSON.stringify([token, certificate?.fingerprint256, identity.spiffeId, node]);
}
