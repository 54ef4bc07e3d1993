import { RESOURCE_TYPES, type ResourceType, type Snapshot } from '../cache/resource.ts';
import { decodeDeltaRequest, decodeSotwRequest, RequestTooLargeError, type XdsMethod } from '../proto/services.ts';
import type { Clock } from '../runtime/clock.ts';
import type { FairQueue } from '../runtime/fair-queue.ts';
import { isLogged, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { XdsRequest } from '../xds/messages.ts';
import { Session } from '../xds/session.ts';
import { takeFrom } from './budget.ts';
import { readConnectedNode } from './connected-node.ts';
import type { CarriedStream, Connection } from './connection.ts';
import type { EncodedResources } from './encoded-resources.ts';
import type { RefusalReason, ServerBudgets, XdsLimits } from './limits.ts';
import { Pace } from './pace.ts';
import type { ConnectedNode, EndCode, ProxyConnection, ProxyDirectory, Subscriber } from './proxy-directory.ts';
import type { StreamLog } from './stream-log.ts';
import type { StreamStatus } from './stream-status.ts';

/** The transport of one stream. */
export interface StreamTransport {
  readonly peer: string;
  /** What the call shows of who it is. */
  readonly proof: Pick<ConnectedNode, 'token' | 'certificate'>;
  /** Sends one message; `flushed` is called when the next one may follow. */
  write(message: Buffer, flushed: () => void): void;
  /** A message that `receive` took has been worked off; the client may send more. */
  done(message: Buffer): void;
  end(code: EndCode, message: string): void;
}

export interface StreamContext {
  readonly number: number;
  readonly noncePrefix: string;
  readonly directory: ProxyDirectory;
  readonly encoded: EncodedResources;
  /** Turns of all streams: in each one stream makes its next response. */
  readonly turns: FairQueue<() => void>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What the connection that carries the stream, and the server, have left. */
  readonly connection: Connection;
  readonly budgets: ServerBudgets;
  readonly limits: XdsLimits;
  readonly log: StreamLog;
  readonly metrics: Metrics;
}

const TYPE_OF_URL: ReadonlyMap<string, ResourceType> = new Map((Object.keys(RESOURCE_TYPES) as ResourceType[]).map((type) => [RESOURCE_TYPES[type], type]));

type Message = Omit<XdsRequest, 'type'> & { readonly typeUrl: string; readonly node?: Uint8Array };

/** Distinct refusals of one stream that are logged: an Envoy refuses a few things, a client with bad intentions as many as it likes. */
const NACKS_LOGGED_AT_ONCE = 20;
const NACKS_LOGGED_PER_SECOND = 0.1;

/**
 * One xDS stream: its session, driven by messages, snapshots and time. Messages wait for the stream's turn, and a response is made only
 * when the one before it is flushed.
 */
export class XdsStream implements CarriedStream {
  readonly #method: XdsMethod;
  readonly #transport: StreamTransport;
  readonly #context: StreamContext;
  readonly #connectedAt: number;
  readonly #session: Session;
  readonly #unknownTypes = new Set<string>();
  readonly #loggedNacks = new Map<ResourceType, string>();
  readonly #turn = () => this.#contain(() => this.#takeTurn());
  readonly #nackPace: Pace;
  #node?: ConnectedNode;
  #connection?: ProxyConnection;
  readonly #inbox: Buffer[] = [];
  /** What the stream is counted under once it is known whose it is. */
  #proxyKey?: string;
  #names = 0;
  #sentBytes = 0;
  /** Who wants to know when everything was answered. */
  #waitingForAnswers: { readonly answered: (bytes: number) => void; readonly sentBefore: number }[] = [];
  #writing = false;
  #closed = false;
  #cancelTimer = () => {};

  constructor(method: XdsMethod, transport: StreamTransport, context: StreamContext) {
    this.#method = method;
    this.#transport = transport;
    this.#context = context;
    this.#connectedAt = context.clock.now();
    this.#nackPace = new Pace(NACKS_LOGGED_AT_ONCE, NACKS_LOGGED_PER_SECOND, context.clock.now());
    this.#session = new Session(method.variant, context.noncePrefix);
    this.#cancelTimer = context.clock.after(context.limits.firstRequestMs, () => {
      this.refuse('first_request_deadline', 'DEADLINE_EXCEEDED', `no request within ${context.limits.firstRequestMs} ms`);
    });
  }

  /** Takes in one message of the client. */
  receive(bytes: Buffer): void {
    if (this.#closed) return;
    this.#inbox.push(bytes);
    this.#schedule();
  }

  get unanswered(): boolean {
    return this.#writing || this.#session.unanswered;
  }

  #work(bytes: Buffer): void {
    const { metrics, clock } = this.#context;
    metrics.xdsRequests.inc();
    metrics.xdsRequestBytes.inc(bytes.length);
    const message = this.#decode(bytes);
    if (!message) return;
    if (!this.#node && !this.#greet(message.node)) return;
    const type = this.#typeOf(message.typeUrl);
    if (!type) return;
    const { node: _node, typeUrl: _url, ...request } = message;
    const changed = this.#session.request({ ...request, type }, clock.now());
    const verdict = this.#session.takeVerdict(type);
    if (verdict) this.#connection?.answered?.(verdict);
    if (!changed || !this.#countNames()) return;
    if (request.error !== undefined || this.#loggedNacks.size > 0) this.#logNack(type);
  }

  /** False: the client keeps more names than it may, and the stream has ended. */
  #countNames(): boolean {
    const { connection, budgets } = this.#context;
    const added = this.#session.names - this.#names;
    if (added === 0 || this.#proxyKey === undefined) return true;
    const exhausted = takeFrom([connection.names, budgets.ofProxy(this.#proxyKey).names, budgets.names], added);
    if (!exhausted) this.#names += added;
    else this.refuse('names', 'RESOURCE_EXHAUSTED', `more than ${exhausted.limit} ${exhausted.what}`);
    return !exhausted;
  }

  /** A proxy's streams are counted by what it says it is, where it comes from and what it proves: nobody uses up what is another's. */
  #countStream({ id, nodeName, peer, token, certificate }: ConnectedNode): boolean {
    const { budgets } = this.#context;
    const key = JSON.stringify([id, nodeName, peer.slice(0, peer.lastIndexOf(':')), token, certificate?.subjectAltName]);
    const exhausted = takeFrom([budgets.ofProxy(key).streams], 1);
    if (!exhausted) this.#proxyKey = key;
    else this.refuse('streams', 'RESOURCE_EXHAUSTED', `more than ${exhausted.limit} ${exhausted.what}`);
    return !exhausted;
  }

  #giveBack(): void {
    if (this.#proxyKey === undefined) return;
    const { connection, budgets } = this.#context;
    const proxy = budgets.ofProxy(this.#proxyKey);
    takeFrom([connection.names, proxy.names, budgets.names], -this.#names);
    takeFrom([proxy.streams], -1);
    budgets.release(this.#proxyKey);
  }

  /** Lets go of everything; called once the transport is over, however it ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    this.#context.turns.remove(this.#turn);
    this.#inbox.length = 0;
    this.#connection?.close();
    this.#tellAnswered();
    this.#giveBack();
    if (!this.#node) return;
    const { log, logger, clock } = this.#context;
    log.closed(this.#node.id);
    if (isLogged(logger, 'debug')) logger.debug({ ...this.#fields(), connected_ms: clock.now() - this.#connectedAt }, 'stream closed');
  }

  /** Ends the stream from this side. */
  end(code: EndCode, message: string): void {
    if (this.#closed) return;
    this.close();
    this.#transport.end(code, message);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Undefined before the first message said whose stream this is. */
  status(): StreamStatus | undefined {
    const node = this.#node;
    if (!node) return undefined;
    return {
      stream: this.#context.number,
      nodeId: node.id,
      ...(node.nodeName && { nodeName: node.nodeName }),
      peer: node.peer,
      ...(node.envoyVersion && { envoyVersion: node.envoyVersion }),
      variant: this.#method.variant,
      connectedAt: this.#connectedAt,
      known: this.#session.known,
      types: this.#session.status(),
    };
  }

  /** A bug met on one stream ends that stream; its client comes back, and the others go on. */
  #contain(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#context.logger.error({ ...this.#fields(), error: error instanceof Error ? error.stack : String(error) }, 'stream failed');
      this.end('INTERNAL', 'adsum failed on this stream; its log says why');
    }
  }

  #decode(bytes: Uint8Array): Message | undefined {
    const { namesPerConnection } = this.#context.limits;
    try {
      if (this.#method.variant === 'delta') return { ...decodeDeltaRequest(bytes, namesPerConnection), version: '' };
      const { names, ...message } = decodeSotwRequest(bytes, namesPerConnection);
      return { ...message, subscribe: names, unsubscribe: [], initialVersions: new Map() };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof RequestTooLargeError) this.refuse('names', 'RESOURCE_EXHAUSTED', reason);
      else this.#refuse(`the request is no ${this.#method.variant === 'delta' ? 'DeltaDiscoveryRequest' : 'DiscoveryRequest'}: ${reason}`);
      return undefined;
    }
  }

  /** Finds out from the first message who this is; later nodes are ignored, so a stream never changes hands. */
  #greet(bytes: Uint8Array | undefined): boolean {
    const { peer, proof } = this.#transport;
    const node = readConnectedNode(bytes, peer, proof);
    if ('refusal' in node) {
      this.#refuse(node.refusal);
      return false;
    }
    if (!this.#countStream(node)) return false;
    this.#cancelTimer();
    this.#node = node;
    const { log, logger } = this.#context;
    log.opened(node.id);
    if (isLogged(logger, 'debug')) {
      logger.debug({ ...this.#fields(), envoy: node.envoyVersion?.join('.'), variant: this.#method.variant }, 'stream opened');
    }
    const subscriber: Subscriber = {
      update: (snapshot, answered) => this.#update(snapshot, answered),
      end: (code, message) => this.end(code, message),
    };
    const connection = this.#context.directory.connect(node, subscriber);
    if (this.#closed) connection.close();
    else this.#connection = connection;
    return !this.#closed;
  }

  #typeOf(typeUrl: string): ResourceType | undefined {
    const own = this.#method.typeUrl;
    if (own !== undefined && typeUrl !== '' && typeUrl !== own) this.#refuse(`this service serves ${own}, not ${typeUrl}`);
    else if (own === undefined && typeUrl === '') this.#refuse('type_url is missing; on an aggregated stream every request needs it');
    else {
      const type = TYPE_OF_URL.get(own ?? typeUrl);
      if (!type && !this.#unknownTypes.has(typeUrl)) {
        // bounded: a client cannot make the set or the log grow for ever
        if (this.#unknownTypes.size < 20) this.#unknownTypes.add(typeUrl);
        this.#context.logger.debug({ ...this.#fields(), type_url: typeUrl }, 'a type adsum does not serve; its requests stay unanswered');
      }
      return type;
    }
    return undefined;
  }

  #refuse(message: string): void {
    this.refuse('invalid', 'INVALID_ARGUMENT', message);
  }

  /** Ends the stream because of what its client did. */
  refuse(reason: RefusalReason, code: EndCode, message: string): void {
    if (this.#closed) return;
    this.#context.metrics.xdsRefused.inc({ reason });
    this.#context.log.refused({ ...this.#fields(), reason: message }, 'stream refused');
    this.end(code, message);
  }

  #update(snapshot: Snapshot, answered?: (bytes: number) => void): void {
    if (this.#closed) {
      answered?.(0);
      return;
    }
    if (answered) this.#waitingForAnswers.push({ answered, sentBefore: this.#sentBytes });
    if (this.#session.update(snapshot) || answered) this.#schedule();
  }

  #tellAnswered(): void {
    const waiting = this.#waitingForAnswers;
    if (waiting.length === 0) return;
    this.#waitingForAnswers = [];
    for (const { answered, sentBefore } of waiting) answered(this.#sentBytes - sentBefore);
  }

  #schedule(): void {
    if (!this.#closed && (!this.#writing || this.#inbox.length > 0)) this.#context.turns.add(this.#turn);
  }

  #takeTurn(): void {
    const request = this.#inbox.shift();
    if (request) {
      this.#work(request);
      this.#transport.done(request);
      this.#schedule();
      // all that the client has said first, so that one response answers it
      if (this.#inbox.length > 0) return;
    }
    if (!this.#closed && !this.#writing) this.#respond();
  }

  #respond(): void {
    const now = this.#context.clock.now();
    const { response, wakeAt } = this.#session.next(now);
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (!response) {
      if (wakeAt !== undefined) this.#cancelTimer = this.#context.clock.after(wakeAt - now, () => this.#schedule());
      else if (!this.#session.unanswered) this.#tellAnswered();
      return;
    }
    this.#writing = true;
    const { logger, encoded, metrics } = this.#context;
    if (isLogged(logger, 'debug')) {
      const { type, nonce, resources, removed } = response;
      logger.debug({ ...this.#fields(), type, nonce, resources: resources.map(({ name }) => name), removed }, 'response sent');
    }
    const bytes = encoded.encode(this.#method.variant, response);
    metrics.xdsResponses.inc();
    metrics.xdsResponseBytes.inc(bytes.length);
    this.#sentBytes += bytes.length;
    this.#transport.write(bytes, () => {
      this.#writing = false;
      this.#schedule();
    });
  }

  /** One line for each distinct refusal; the same again (a bad listener in every full set) says nothing new. */
  #logNack(type: ResourceType): void {
    const nack = this.#session.refusal(type);
    if (!nack) this.#loggedNacks.delete(type);
    else if (this.#loggedNacks.get(type) !== nack.error) {
      this.#loggedNacks.set(type, nack.error);
      this.#context.metrics.nacks.inc({ type });
      if (this.#nackPace.take(1, this.#context.clock.now()) > 0) return;
      const { error: reason, resources, nonce, version } = nack;
      this.#context.logger.warn({ ...this.#fields(), type, resources, reason, nonce, version }, 'the proxy refused its configuration (NACK)');
    }
  }

  #fields(): object {
    const { number } = this.#context;
    return this.#node
      ? { stream: number, proxy: this.#node.id, node: this.#node.nodeName, peer: this.#node.peer }
      : { stream: number, peer: this.#transport.peer };
  }
}
