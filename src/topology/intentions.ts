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

/** What decisions follow from. */
export interface IntentionFacts {
  readonly defaultPolicy: 'allow' | 'deny';
  /** Source → intention. The destination may be `*`. */
  sourcesOf(destination: string): ReadonlyMap<string, Intention>;
  /** The destinations that an intention lets this source call, exact names only. May hold some that another intention takes back. */
  permittedTo(source: string): ReadonlySet<string>;
}

/**
 * Who may call whom.
 *
 * Of the intentions that match a caller and a destination the one with the highest precedence decides alone:
 * an exact destination beats a wildcard one; among equals an exact source beats the wildcard.
 * Source: https://developer.hashicorp.com/consul/docs/secure-mesh/intention (precedence and match order).
 */
export class Intentions {
  readonly #facts: IntentionFacts;

  constructor(facts: IntentionFacts) {
    this.#facts = facts;
  }

  get defaultPolicy(): 'allow' | 'deny' {
    return this.#facts.defaultPolicy;
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
    return decide(this.#facts, source, destination);
  }

  /** Permissions count: whoever may send some request needs the way there. */
  mayCall(source: string, destination: string): boolean {
    return this.decide(source, destination).allowed !== 'deny';
  }

  /**
   * The services that `source` may call, in no particular order; it may be among them itself.
   * Where nothing is allowed by default the cost follows the intentions that name the source or the wildcard, not the services.
   */
  destinationsOf(source: string, services: CallableServices): string[] {
    if (this.mayCall(source, ANY_SERVICE)) return services.all().filter((destination) => this.mayCall(source, destination));
    const permitted = new Set([...this.#facts.permittedTo(source), ...this.#facts.permittedTo(ANY_SERVICE)]);
    return [...permitted].filter((destination) => services.has(destination) && this.mayCall(source, destination));
  }

  #sourcesOf(destination: string): Intention[] {
    return [...this.#facts.sourcesOf(destination).values()].sort(wildcardLastThenByName);
  }
}

/** The intention with the highest precedence decides alone. */
export function decide({ defaultPolicy, sourcesOf }: IntentionFacts, source: string, destination: string): Decision {
  const own = sourcesOf(destination);
  const exact = own.get(source) ?? own.get(ANY_SERVICE);
  const intention = exact ?? sourcesOf(ANY_SERVICE).get(source) ?? sourcesOf(ANY_SERVICE).get(ANY_SERVICE);
  if (!intention) return { allowed: defaultPolicy };
  return { allowed: intention.action, by: { source: intention.source, destination: intention.destination } };
}

/** The services that can be called at all. */
export interface CallableServices {
  has(service: string): boolean;
  all(): readonly string[];
}

/** All intentions of some entries under a default policy. */
export function buildIntentions(entries: Iterable<IntentionsEntry>, defaultPolicy: 'allow' | 'deny'): Intentions {
  const byDestination = new Map<string, ReadonlyMap<string, Intention>>();
  const permitted = new Map<string, Set<string>>();
  for (const entry of entries) {
    const sources = intentionsBySource(entry, byDestination.get(entry.name));
    byDestination.set(entry.name, sources);
    for (const { source, action } of sources.values()) {
      if (action === 'deny' || entry.name === ANY_SERVICE) continue;
      permitted.set(source, (permitted.get(source) ?? new Set()).add(entry.name));
    }
  }
  return new Intentions({
    defaultPolicy,
    sourcesOf: (destination) => byDestination.get(destination) ?? NO_INTENTIONS,
    permittedTo: (source) => permitted.get(source) ?? new Set(),
  });
}

export const NO_INTENTIONS: ReadonlyMap<string, Intention> = new Map();

/** The intentions of one entry by their source. Of two with the same source (in two spellings) a denial counts, or else the first. */
export function intentionsBySource(entry: IntentionsEntry, earlier: ReadonlyMap<string, Intention> = NO_INTENTIONS): ReadonlyMap<string, Intention> {
  const bySource = new Map(earlier);
  for (const intention of intentionsOf(entry)) {
    if (bySource.has(intention.source) && intention.action !== 'deny') continue;
    bySource.set(intention.source, intention);
  }
  return bySource;
}

export function intentionsOf(entry: IntentionsEntry): Intention[] {
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
