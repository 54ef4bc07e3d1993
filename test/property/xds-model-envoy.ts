import type { ResourceType } from '../../src/cache/resource.ts';
import type { Variant, XdsRequest } from '../../src/xds/messages.ts';
import { Session } from '../../src/xds/session.ts';
import { read } from '../protocol/bare-wire.ts';
import type { Got } from '../protocol/wire.ts';
import { type State, snapshotMaker } from '../protocol/world.ts';

const TYPES: readonly ResourceType[] = ['secret', 'cluster', 'endpoint', 'listener', 'route'];
const isRoot = (type: ResourceType) => type === 'cluster' || type === 'listener';

/** What a rule of the protocol forbids was seen. */
export class Violation extends Error {}

/** What happens, one thing after another; everything between client and server takes as long as the test likes. */
export type Op =
  | { readonly op: 'world'; readonly state: State }
  | { readonly op: 'write' | 'to-client' | 'to-server'; readonly count: number }
  | { readonly op: 'advance'; readonly ms: number }
  | { readonly op: 'reconnect' | 'calm' }
  | { readonly op: 'ask-again'; readonly name: string };

interface Has {
  readonly tag: string;
  readonly version: string;
}

/**
 * A client that behaves as Envoy does, on one side of a slow line, and a session on the other, watched by a referee.
 * Clusters fed by EDS make it ask for their endpoints, and warm until these come; a listener makes it ask for the route of its name;
 * the tag of a listener or route is the cluster it sends to. `bad` is refused alone, `unreadable` with its whole response.
 */
export class ModelEnvoy {
  readonly #variant: Variant;
  readonly #snapshot = snapshotMaker();
  readonly has = new Map<ResourceType, Map<string, Has>>(TYPES.map((type) => [type, new Map()]));
  readonly warming = new Set<string>();
  #streams = 0;
  #now = 0;
  #session: Session;
  #referee: Referee;
  #world: State = {};
  #toServer: XdsRequest[] = [];
  #toClient: Got[] = [];
  #subscribed = new Map<ResourceType, Set<string>>();
  #accepted = new Map<ResourceType, string>();
  #nonces = new Map<ResourceType, string>();
  readonly #strict: boolean;

  /** @param strict also watch that nothing is used before it is there or after it is gone */
  constructor(variant: Variant, strict: boolean) {
    this.#variant = variant;
    this.#strict = strict;
    this.#session = new Session(variant, '0-');
    this.#referee = new Referee(variant);
    this.#start();
  }

  run(step: Op): void {
    switch (step.op) {
      case 'world':
        this.#world = step.state;
        this.#session.update(this.#snapshot(step.state));
        this.#referee.world(step.state);
        return;
      case 'write':
        for (let i = 0; i < step.count && this.#write(); i++);
        return;
      case 'to-client':
        for (const response of this.#toClient.splice(0, step.count)) this.#receive(response);
        return;
      case 'to-server':
        for (const request of this.#toServer.splice(0, step.count)) this.#deliver(request);
        return;
      case 'calm':
        while (this.#deliverAll());
        return;
      case 'advance':
        this.#now += step.ms;
        return;
      case 'reconnect':
        this.#reconnect();
        return;
      case 'ask-again':
        if (this.#variant === 'delta' && this.#subscribed.get('secret')?.has(step.name)) this.#send('secret', { subscribe: [step.name] });
    }
  }

  /** Lets everything arrive and every wait end, until nothing moves any more. */
  settle(): void {
    for (let round = 0; round < 200; round++) {
      if (this.#deliverAll()) continue;
      const { wakeAt } = this.#session.next(this.#now);
      if (wakeAt === undefined) return;
      this.#now = wakeAt;
    }
    throw new Violation('it never comes to rest');
  }

  /** Whether anything moved. */
  #deliverAll(): boolean {
    const sent = this.#session.sentCount;
    const waiting = this.#toServer.length + this.#toClient.length;
    for (const op of ['to-server', 'write', 'to-client'] as const) this.run({ op, count: 1000 });
    return waiting > 0 || this.#session.sentCount > sent;
  }

  #start(): void {
    this.#first('secret', ['leaf', 'ca']);
    this.#first('cluster', []);
  }

  #reconnect(): void {
    this.#toServer = [];
    this.#toClient = [];
    this.#nonces.clear();
    this.#session = new Session(this.#variant, `${++this.#streams}-`);
    this.#referee = new Referee(this.#variant);
    this.#referee.world(this.#world);
    this.#session.update(this.#snapshot(this.#world));
    for (const [type, names] of [...this.#subscribed]) this.#first(type, [...names]);
  }

  #first(type: ResourceType, names: readonly string[]): void {
    this.#subscribed.set(type, new Set(names));
    const initialVersions = new Map(Array.from(this.has.get(type) ?? [], ([name, { version }]) => [name, version]));
    this.#send(type, this.#variant === 'delta' ? { subscribe: names, initialVersions } : {});
  }

  #send(type: ResourceType, request: Partial<XdsRequest>): void {
    const sotw = this.#variant === 'sotw' && {
      subscribe: [...(this.#subscribed.get(type) ?? [])],
      version: this.#accepted.get(type) ?? '',
      nonce: this.#nonces.get(type) ?? '',
    };
    this.#toServer.push({ type, nonce: '', subscribe: [], unsubscribe: [], initialVersions: new Map(), version: '', ...request, ...sotw });
  }

  #deliver(request: XdsRequest): void {
    this.#referee.request(request, this.#session);
    this.#session.request(request, this.#now);
  }

  #write(): boolean {
    const { response } = this.#session.next(this.#now);
    if (!response) return false;
    const endpoints = response.resources.map((resource) => resource.endpoints).filter((name) => name !== undefined);
    const got = read(response);
    this.#referee.response(got, endpoints);
    this.#toClient.push(got);
    return true;
  }

  #receive(response: Got): void {
    const { type, nonce, version, resources, removed } = response;
    const has = this.#of(type);
    const refused: string[] = [];
    const named = new Map(resources.map((one) => one.split('=') as [string, string]));
    const gone = this.#variant === 'delta' ? removed : isRoot(type) ? [...has.keys()].filter((name) => !named.has(name)) : [];
    const unread = [...named.values()].includes('unreadable');
    if (unread) refused.push('something');
    for (const [name, tag] of unread ? [] : named) {
      if (tag === 'bad') refused.push(name);
      else this.#apply(type, name, { tag, version: response.versions[name] ?? '' });
    }
    for (const name of unread ? [] : gone) this.#drop(type, name);
    this.#nonces.set(type, nonce);
    const error = refused.length > 0 ? { error: `cannot take ${refused.join(', ')}` } : {};
    if (refused.length === 0) this.#accepted.set(type, version);
    this.#send(type, { nonce, ...error });
    if (refused.length > 0 && this.#variant === 'sotw') {
      const last = this.#toServer.at(-1);
      if (last) this.#toServer[this.#toServer.length - 1] = { ...last, ...error };
    }
    if (type === 'cluster') this.#follow('endpoint', this.#endpointNames());
    if (type === 'cluster' && !this.#subscribed.has('listener')) this.#first('listener', []);
    if (type === 'listener') this.#follow('route', [...this.#of('listener').keys()]);
  }

  #apply(type: ResourceType, name: string, has: Has): void {
    if (this.#strict && (type === 'listener' || type === 'route') && !this.#of('cluster').has(has.tag))
      throw new Violation(`${type} ${name} sends to ${has.tag}, which is not there yet`);
    const changed = this.#of(type).get(name)?.tag !== has.tag;
    this.#of(type).set(name, has);
    if (type === 'cluster' && changed && has.tag.startsWith('eds')) this.warming.add(name);
    if (type === 'cluster' && !has.tag.startsWith('eds')) this.warming.delete(name);
    if (type === 'endpoint') this.warming.delete(name);
  }

  #drop(type: ResourceType, name: string): void {
    this.#of(type).delete(name);
    if (type === 'cluster' || type === 'endpoint') this.warming.delete(name);
    if (!this.#strict || type !== 'cluster') return;
    for (const parent of ['listener', 'route'] as const)
      for (const [user, { tag }] of this.#of(parent)) if (tag === name) throw new Violation(`cluster ${name} is gone and ${parent} ${user} still sends to it`);
  }

  /** Subscribes to exactly these names, as Envoy does when what names them changes. */
  #follow(type: ResourceType, names: readonly string[]): void {
    const before = this.#subscribed.get(type);
    if (!before) {
      if (names.length > 0) this.#first(type, names);
      return;
    }
    const subscribe = names.filter((name) => !before.has(name));
    const unsubscribe = [...before].filter((name) => !names.includes(name));
    if (subscribe.length + unsubscribe.length === 0) return;
    this.#subscribed.set(type, new Set(names));
    for (const name of unsubscribe) this.#of(type).delete(name);
    this.#send(type, { subscribe, unsubscribe });
  }

  #endpointNames(): string[] {
    return [...this.#of('cluster')].filter(([, { tag }]) => tag.startsWith('eds')).map(([name]) => name);
  }

  #of(type: ResourceType): Map<string, Has> {
    const has = this.has.get(type);
    if (!has) throw new Error(type);
    return has;
  }
}

/** Watches one stream from the server's side: what was said must have been new, or asked for. */
class Referee {
  readonly #variant: Variant;
  readonly #told = new Map<ResourceType, Map<string, string>>();
  readonly #asked = new Map<ResourceType, Set<string>>();
  readonly #answered = new Set<ResourceType>();
  readonly #due = new Set<string>();
  readonly #nonces = new Map<string, readonly string[]>();

  constructor(variant: Variant) {
    this.#variant = variant;
  }

  world(state: State): void {
    if (this.#variant === 'delta') return;
    for (const [type, told] of this.#told) if (!isRoot(type)) for (const name of told.keys()) if (!state[type]?.[name]) told.delete(name);
  }

  request({ type, subscribe, unsubscribe, initialVersions, nonce, error }: XdsRequest, session: Session): void {
    const first = !this.#told.has(type);
    const told = this.#told.get(type) ?? new Map<string, string>();
    const asked = this.#asked.get(type) ?? new Set<string>();
    this.#told.set(type, told);
    this.#asked.set(type, asked);
    const together = this.#nonces.get(nonce) ?? [];
    if (error?.includes('something') && together.length > 1 && !(this.#variant === 'sotw' && isRoot(type))) for (const name of together) asked.add(name);
    if (this.#variant === 'delta') {
      if (first) for (const [name, version] of initialVersions) told.set(name, version);
      for (const name of unsubscribe) told.delete(name);
      for (const name of subscribe) asked.add(name);
    } else if (!isRoot(type) && (nonce === '' || nonce === session.status().find((one) => one.type === type)?.sent?.nonce)) {
      for (const name of told.keys()) if (!subscribe.includes(name)) told.delete(name);
    }
  }

  response({ type, nonce, resources, versions, removed }: Got, endpoints: readonly string[]): void {
    if (nonce === '' || this.#nonces.has(nonce)) throw new Violation(`nonce '${nonce}' is not unique`);
    const told = this.#told.get(type);
    const asked = this.#asked.get(type);
    if (!told || !asked) throw new Violation(`${type} was never asked for`);
    const names = Object.keys(versions);
    this.#nonces.set(nonce, names);
    if (names.length !== resources.length) throw new Violation(`a name twice: ${resources.join(' ')}`);
    const isNew = (name: string) => told.get(name) !== versions[name] || asked.has(name) || (type === 'endpoint' && this.#due.has(name));
    const whole = this.#variant === 'sotw' && isRoot(type);
    const fresh = names.filter(isNew);
    if (!whole && fresh.length < names.length) throw new Violation(`${type}: it has all of this already: ${names.filter((name) => !isNew(name)).join(' ')}`);
    const first = !this.#answered.has(type);
    this.#answered.add(type);
    const shorter = [...told.keys()].some((name) => !names.includes(name));
    if (fresh.length === 0 && !first && (whole ? !shorter : removed.length === 0)) throw new Violation(`${type}: nothing new in this`);
    for (const name of removed) if (!told.has(name) && !asked.has(name)) throw new Violation(`${type}: ${name} was never there`);
    if (whole) told.clear();
    for (const name of names) told.set(name, versions[name] ?? '');
    for (const name of removed) told.delete(name);
    for (const name of [...names, ...removed]) {
      asked.delete(name);
      if (type === 'endpoint') this.#due.delete(name);
    }
    if (type === 'cluster') for (const name of endpoints) this.#due.add(name);
  }
}
