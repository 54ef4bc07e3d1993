/** Our part of one table: chains with all their rules, and the rules in other chains that lead there. */
export interface RuleSet {
  /** Rules without `-A CHAIN`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly jumps: ReadonlyMap<string, ChainJumps>;
}

/** The jumps in one chain that is not ours, in their order. */
export interface ChainJumps {
  readonly rules: readonly string[];
  /** Where the first one stands, counted from 1; undefined: at the end. */
  readonly position?: number;
}

export const TABLES = ['nat', 'filter'] as const;
export type Table = (typeof TABLES)[number];

/** A family's tables. A table that is absent holds nothing of ours. */
export type RuleSets = Readonly<Partial<Record<Table, RuleSet>>>;

export const NO_RULES: RuleSet = { chains: new Map(), jumps: new Map() };

/** The names Consul uses. Whatever stands in chains of these names is taken to be ours, so its rules are replaced, not doubled. */
export const CHAINS = {
  inbound: 'CONSUL_PROXY_INBOUND',
  inboundRedirect: 'CONSUL_PROXY_IN_REDIRECT',
  output: 'CONSUL_PROXY_OUTPUT',
  outputRedirect: 'CONSUL_PROXY_REDIRECT',
  dns: 'CONSUL_DNS_REDIRECT',
} as const;

export const OWN_CHAINS: ReadonlySet<string> = new Set(Object.values(CHAINS));
