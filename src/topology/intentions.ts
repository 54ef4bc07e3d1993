import type { EntryOfKind } from '../mesh/schema/config-entry.ts';

type IntentionsEntry = EntryOfKind<'service-intentions'>;
type SourceIntention = IntentionsEntry['sources'][number];

/** Stands for every service, as a source and as a destination. */
export const ANY_SERVICE = '*';

/** One source of one service-intentions entry. */
export interface Intention {
  readonly destination: string;
  readonly source: string;
  /** `l7`: its permissions decide, request by request. */
  readonly action: 'allow' | 'deny' | 'l7';
  /** Non-empty exactly for `l7`. First match wins. */
  readonly permissions: SourceIntention['permissions'];
  /** Demanded of every source of the entry. */
  readonly jwt: IntentionsEntry['jwt'];
}

/** What decides whether one service may call another. */
export interface Decision {
  readonly allowed: 'allow' | 'deny' | 'l7';
  /** Undefined: no intention says anything, the default policy decides. */
  readonly by?: Pick<Intention, 'destination' | 'source'>;
}

/** Who may call whom. */
export type Intentions = Pick<IntentionIndex, 'defaultPolicy' | 'intentionsFor' | 'decide' | 'mayCall' | 'destinationsOf'>;

/**
 * All intentions of a mesh, ready to answer who may call whom.
 *
 * Of the intentions that match a caller and a destination the one with the highest precedence decides alone:
 * an exact destination beats a wildcard one; among equals an exact source beats the wildcard.
 * Source: https://developer.hashicorp.com/consul/docs/secure-mesh/intention (precedence and match order).
 */
export class IntentionIndex {
  readonly defaultPolicy: 'allow' | 'deny';
  /** Destination → source → intention. */
  readonly #byDestination: ReadonlyMap<string, ReadonlyMap<string, Intention>>;
  /** Source → the destinations that an intention lets it call, wildcard destination excluded. */
  readonly #permittedBySource: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(intentions: Iterable<Intention>, defaultPolicy: 'allow' | 'deny') {
    const byDestination = new Map<string, Map<string, Intention>>();
    const permittedBySource = new Map<string, Set<string>>();
    for (const intention of intentions) {
      const { destination, source } = intention;
      const ofDestination = entryOf(byDestination, destination, () => new Map<string, Intention>());
      // One source in two spellings: whoever denies it has the word, else the first.
      if (ofDestination.has(source) && intention.action !== 'deny') continue;
      ofDestination.set(source, intention);
      if (intention.action !== 'deny' && destination !== ANY_SERVICE) entryOf(permittedBySource, source, () => new Set<string>()).add(destination);
    }
    this.defaultPolicy = defaultPolicy;
    this.#byDestination = byDestination;
    this.#permittedBySource = permittedBySource;
  }

  /**
   * The intentions that decide over callers of `destination`, in order of precedence: exact sources by name, the wildcard last.
   * At most one for each source; what a higher precedence hides is left out, so that order no longer matters among exact sources.
   */
  intentionsFor(destination: string): readonly Intention[] {
    const own = this.#sourcesOf(destination);
    const wildcardOfOwn = own.find(({ source }) => source === ANY_SERVICE);
    if (destination === ANY_SERVICE || wildcardOfOwn) return own;
    const named = new Set(own.map(({ source }) => source));
    return [...own, ...this.#sourcesOf(ANY_SERVICE).filter(({ source }) => !named.has(source))];
  }

  /** May `source` call `destination`, and which intention says so? */
  decide(source: string, destination: string): Decision {
    const intention = this.#intention(source, destination);
    return intention ? { allowed: intention.action, by: intention } : { allowed: this.defaultPolicy };
  }

  /** Permissions count: whoever may send some request needs the way there. */
  mayCall(source: string, destination: string): boolean {
    return this.decide(source, destination).allowed !== 'deny';
  }

  /**
   * Those of `candidates` that `source` may call, in no particular order. A service may be among its own destinations.
   * Where nothing is allowed by default the cost follows the intentions that name the source or the wildcard, not the candidates.
   */
  destinationsOf(source: string, candidates: ReadonlySet<string>): string[] {
    if (this.mayCall(source, ANY_SERVICE)) return [...candidates].filter((destination) => this.mayCall(source, destination));
    const permitted = new Set([...(this.#permittedBySource.get(source) ?? []), ...(this.#permittedBySource.get(ANY_SERVICE) ?? [])]);
    return [...permitted].filter((destination) => candidates.has(destination) && this.mayCall(source, destination));
  }

  /** Every service that an intention names, as source or destination. Such names need not be registered. */
  namedServices(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const [destination, sources] of this.#byDestination) {
      names.add(destination);
      for (const source of sources.keys()) names.add(source);
    }
    names.delete(ANY_SERVICE);
    return names;
  }

  #intention(source: string, destination: string): Intention | undefined {
    const own = this.#byDestination.get(destination);
    const every = this.#byDestination.get(ANY_SERVICE);
    return own?.get(source) ?? own?.get(ANY_SERVICE) ?? every?.get(source) ?? every?.get(ANY_SERVICE);
  }

  #sourcesOf(destination: string): Intention[] {
    return [...(this.#byDestination.get(destination)?.values() ?? [])].sort(wildcardLastThenByName);
  }
}

/** Indexes the service-intentions of a mesh under its default policy. */
export function buildIntentionIndex(entries: Iterable<IntentionsEntry>, defaultPolicy: 'allow' | 'deny'): IntentionIndex {
  return new IntentionIndex([...entries].flatMap(intentionsOf), defaultPolicy);
}

function intentionsOf(entry: IntentionsEntry): Intention[] {
  return entry.sources.filter(isLocal).map((source) => {
    const { permissions } = source;
    return {
      destination: entry.name,
      source: source.name,
      // An intention that says neither is a defect of the input; nobody gets in by a defect.
      action: permissions.length > 0 ? 'l7' : (source.action ?? 'deny'),
      permissions,
      jwt: entry.jwt,
    };
  });
}

/** A source in a peered cluster is another service, even under the same name. */
function isLocal(source: SourceIntention): boolean {
  return !source.peer;
}

function wildcardLastThenByName(a: Intention, b: Intention): number {
  if (a.source === ANY_SERVICE || b.source === ANY_SERVICE) return a.source === ANY_SERVICE ? 1 : -1;
  return a.source < b.source ? -1 : 1;
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const made = make();
  map.set(key, made);
  return made;
}
