import { type CachedResource, RESOURCE_TYPES, type ResourceType, type Snapshot } from '../cache/resource.ts';
import { decodeDeltaRequest, decodeSotwRequest, type XdsMethod } from '../proto/services.ts';
import type { Clock } from '../runtime/clock.ts';
import type { FairQueue } from '../runtime/fair-queue.ts';
import type { Logger } from '../runtime/logger.ts';
import type { XdsRequest } from '../xds/messages.ts';
import { Session } from '../xds/session.ts';
import { readConnectedNode } from './connected-node.ts';
import type { EncodedResources } from './encoded-resources.ts';
import type { ConnectedNode, EndCode, ProxyDirectory, Subscriber } from './proxy-directory.ts';
import type { StreamStatus } from './stream-status.ts';

/** The transport of one stream. */
export interface StreamTransport {
  readonly peer: string;
  /** `x-consul-token` of the call. */
  readonly token?: string;
  /** Sends one message; `flushed` is called when the next one may follow. */
  write(message: Buffer, flushed: () => void): void;
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
  readonly onNack?: ((type: ResourceType) => void) | undefined;
}

const TYPE_OF_URL: ReadonlyMap<string, ResourceType> = new Map((Object.keys(RESOURCE_TYPES) as ResourceType[]).map((type) => [RESOURCE_TYPES[type], type]));

type Message = Omit<XdsRequest, 'type'> & { readonly typeUrl: string; readonly node?: Uint8Array };

/** One xDS stream: its session, driven by messages, snapshots and time, one unflushed write at a time. */
export class XdsStream {
  readonly #method: XdsMethod;
  readonly #transport: StreamTransport;
  readonly #context: StreamContext;
  readonly #connectedAt: number;
  readonly #session: Session;
  readonly #unknownTypes = new Set<string>();
  readonly #loggedNacks = new Map<ResourceType, string>();
  readonly #turn = () => this.#contain(() => this.#takeTurn());
  #node?: ConnectedNode;
  #connection?: { close(): void };
  #writing = false;
  #closed = false;
  #cancelTimer = () => {};

  constructor(method: XdsMethod, transport: StreamTransport, context: StreamContext) {
    this.#method = method;
    this.#transport = transport;
    this.#context = context;
    this.#connectedAt = context.clock.now();
    this.#session = new Session(method.variant, context.noncePrefix);
  }

  /** Takes in one message of the client. */
  receive(bytes: Uint8Array): void {
    if (!this.#closed) this.#contain(() => this.#receive(bytes));
  }

  #receive(bytes: Uint8Array): void {
    const message = this.#decode(bytes);
    if (!message) return;
    if (!this.#node && !this.#greet(message.node)) return;
    const type = this.#typeOf(message.typeUrl);
    if (!type) return;
    const { node: _node, typeUrl: _url, ...request } = message;
    const now = this.#context.clock.now();
    if (!this.#session.request({ ...request, type }, now)) return;
    this.#logNack(type);
    this.#schedule();
  }

  /** Lets go of everything; called once the transport is over, however it ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    this.#context.turns.remove(this.#turn);
    this.#connection?.close();
    if (this.#node) this.#context.logger.info({ ...this.#names(), connected_ms: this.#context.clock.now() - this.#connectedAt }, 'stream closed');
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
      this.#context.logger.error({ ...this.#names(), error: error instanceof Error ? error.stack : String(error) }, 'stream failed');
      this.end('INTERNAL', 'adsum failed on this stream; its log says why');
    }
  }

  #decode(bytes: Uint8Array): Message | undefined {
    try {
      if (this.#method.variant === 'delta') return { ...decodeDeltaRequest(bytes), version: '' };
      const { names, ...message } = decodeSotwRequest(bytes);
      return { ...message, subscribe: names, unsubscribe: [], initialVersions: new Map() };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#refuse(`the request is no ${this.#method.variant === 'delta' ? 'DeltaDiscoveryRequest' : 'DiscoveryRequest'}: ${reason}`);
      return undefined;
    }
  }

  /** Finds out from the first message who this is; later nodes are ignored, so a stream never changes hands. */
  #greet(bytes: Uint8Array | undefined): boolean {
    const { peer, token } = this.#transport;
    const node = readConnectedNode(bytes, peer, token);
    if ('refusal' in node) {
      this.#refuse(node.refusal);
      return false;
    }
    this.#node = node;
    this.#context.logger.info({ ...this.#names(), envoy: node.envoyVersion?.join('.'), variant: this.#method.variant }, 'stream opened');
    const subscriber: Subscriber = {
      update: (snapshot) => this.#update(snapshot),
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
        this.#context.logger.debug({ ...this.#names(), type_url: typeUrl }, 'a type adsum does not serve; its requests stay unanswered');
      }
      return type;
    }
    return undefined;
  }

  #refuse(reason: string): void {
    this.#context.logger.warn({ ...this.#names(), reason }, 'stream refused');
    this.end('INVALID_ARGUMENT', reason);
  }

  #update(snapshot: Snapshot): void {
    if (!this.#closed && this.#session.update(snapshot)) this.#schedule();
  }

  #schedule(): void {
    if (!this.#closed && !this.#writing) this.#context.turns.add(this.#turn);
  }

  #takeTurn(): void {
    if (this.#closed || this.#writing) return;
    const now = this.#context.clock.now();
    const { response, wakeAt } = this.#session.next(now);
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (!response) {
      if (wakeAt !== undefined) this.#cancelTimer = this.#context.clock.after(wakeAt - now, () => this.#schedule());
      return;
    }
    this.#writing = true;
    const { type, nonce, resources, removed } = response;
    this.#context.logger.debug({ ...this.#names(), type, nonce, resources: namesOf(resources), removed }, 'response sent');
    this.#transport.write(this.#context.encoded.encode(this.#method.variant, response), () => {
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
      this.#context.onNack?.(type);
      const { error: reason, resources, nonce, version } = nack;
      this.#context.logger.warn({ ...this.#names(), type, resources, reason, nonce, version }, 'the proxy refused its configuration (NACK)');
    }
  }

  #names(): object {
    const { number } = this.#context;
    return this.#node
      ? { stream: number, proxy: this.#node.id, node: this.#node.nodeName, peer: this.#node.peer }
      : { stream: number, peer: this.#transport.peer };
  }
}

function namesOf(resources: readonly CachedResource[]): string[] {
  return resources.map((resource) => resource.name);
}
