import { query } from '../query/query-store.ts';
import { type Decision, decide, type Intention, type IntentionFacts, Intentions, intentionsBySource, NO_INTENTIONS } from './intentions.ts';
import type { Topology } from './topology.ts';

/** The intentions of a topology. Each decision is a value of its own, so that an intention that is added touches only whom it is about. */
export class TrackedIntentions extends Intentions {
  readonly #topology: Topology;

  constructor(topology: Topology) {
    super(factsOf(topology));
    this.#topology = topology;
  }

  override decide(source: string, destination: string): Decision {
    return decisionOf(this.#topology, source, destination);
  }
}

const decisionOf = query('decision', (topology: Topology, source: string, destination: string) => decide(factsOf(topology), source, destination));

const intentionsTo = query('intentions', (topology: Topology, destination: string): ReadonlyMap<string, Intention> => {
  const entry = topology.entries.get('service-intentions', destination);
  return entry ? intentionsBySource(entry) : NO_INTENTIONS;
});

function factsOf(topology: Topology): IntentionFacts {
  return {
    get defaultPolicy() {
      return topology.defaultIntentionPolicy;
    },
    sourcesOf: (destination) => intentionsTo(topology, destination),
    permittedTo: (source) => topology.permittedTo(source),
  };
}
