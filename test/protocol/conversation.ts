import { expect } from 'vitest';
import type { ResourceType } from '../../src/cache/resource.ts';
import type { Variant } from '../../src/xds/messages.ts';
import type { TypeStatus } from '../../src/xds/status.ts';
import type { Got, Sent, Wire, WireStream } from './wire.ts';
import { type State, snapshotMaker } from './world.ts';

/** A client that remembers what it needs to answer, and a world it can change. */
export class Conversation {
  readonly #wire: Wire;
  readonly #variant: Variant;
  readonly #snapshot = snapshotMaker();
  #stream: WireStream;
  #names = new Map<ResourceType, readonly string[]>();
  #versions = new Map<ResourceType, string>();
  #last = new Map<ResourceType, Got>();
  #nonces = new Set<string>();

  constructor(wire: Wire, variant: Variant) {
    this.#wire = wire;
    this.#variant = variant;
    this.#stream = wire.open(variant);
  }

  /** From now on the proxy should have this. */
  world(state: State): void {
    this.#wire.publish(this.#snapshot(state));
  }

  advance(ms: number): void {
    this.#wire.advance(ms);
  }

  /** A request as it is. */
  send(type: ResourceType, request: Omit<Sent, 'type'>): void {
    if (request.names) this.#names.set(type, request.names);
    this.#stream.send({ type, ...request });
  }

  /** Accepts the last response of a type; `more` may change the subscription in the same message. */
  ack(type: ResourceType, more: Omit<Sent, 'type' | 'nonce'> = {}): void {
    const last = this.last(type);
    this.#versions.set(type, last.version);
    this.#answer(type, last, more);
  }

  /** Refuses it. */
  nack(type: ResourceType, error: string, more: Omit<Sent, 'type' | 'nonce'> = {}): void {
    this.#answer(type, this.last(type), { error, ...more });
  }

  /** Says nothing of the last response, but changes the subscription. */
  change(type: ResourceType, names: readonly string[]): void {
    this.#answer(type, this.last(type), { names });
  }

  /** What arrives now, as `type name=tag … -removed …`; names sorted. Every type's last response can be answered afterwards. */
  async expect(...responses: string[]): Promise<void> {
    expect((await this.drain()).map(brief)).toEqual(responses);
  }

  async expectSilence(): Promise<void> {
    await this.expect();
  }

  async drain(): Promise<Got[]> {
    const got = await this.#stream.drain();
    for (const response of got) {
      expect(response.nonce).not.toBe('');
      expect(this.#nonces.has(response.nonce), 'a nonce used twice').toBe(false);
      this.#nonces.add(response.nonce);
      const names = response.resources.map((resource) => resource.split('=')[0]);
      expect(new Set(names).size, 'a name twice in one response').toBe(names.length);
      this.#last.set(response.type, response);
    }
    return got;
  }

  /** What `expect` would compare, accepting everything on the way until nothing more comes. */
  async acceptAll(): Promise<string[]> {
    const all: string[] = [];
    for (;;) {
      const got = await this.drain();
      if (got.length === 0) return all;
      all.push(...got.map(brief));
      // only the newest of each type can be answered in the state of the world; in delta every one is
      for (const response of this.#variant === 'delta' ? got : new Map(got.map((one) => [one.type, one])).values()) {
        this.#versions.set(response.type, response.version);
        this.#answer(response.type, response, {});
      }
    }
  }

  last(type: ResourceType): Got {
    const last = this.#last.get(type);
    if (!last) throw new Error(`no response of type ${type} yet`);
    return last;
  }

  status(type: ResourceType): TypeStatus {
    const status = this.#stream.status().find((one) => one.type === type);
    if (!status) throw new Error(`no status of type ${type}`);
    return status;
  }

  /** The same client on a new stream. Its knowledge is the test's to send. */
  reconnect(): void {
    this.#stream = this.#wire.open(this.#variant);
    this.#last = new Map();
    this.#nonces = new Set();
  }

  #answer(type: ResourceType, response: Got, more: Omit<Sent, 'type' | 'nonce'>): void {
    const sotw = this.#variant === 'sotw' && { names: this.#names.get(type) ?? [], version: this.#versions.get(type) ?? '' };
    this.send(type, { ...sotw, nonce: response.nonce, ...more });
  }
}

export function brief({ type, resources, removed }: Got): string {
  return [type, ...[...resources].sort(), ...[...removed].sort().map((name) => `-${name}`)].join(' ');
}
