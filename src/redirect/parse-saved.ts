import { type ChainJumps, OWN_CHAINS, type RuleSet, type RuleSets, TABLES, type Table } from './rule-set.ts';

/** Finds what is ours in the output of iptables-save or ip6tables-save. */
export function parseSaved(text: string): RuleSets {
  const found: Partial<Record<Table, RuleSet>> = {};
  for (const section of text.split(/^(?=\*)/m)) {
    const table = TABLES.find((name) => section.startsWith(`*${name}\n`));
    if (table) found[table] = parseTable(section);
  }
  return found;
}

function parseTable(section: string): RuleSet {
  const chains = new Map<string, string[]>();
  const jumps = new Map<string, { rules: string[] } & ChainJumps>();
  const lengths = new Map<string, number>();
  for (const line of section.split('\n')) {
    const declared = /^:(\S+) /.exec(line)?.[1];
    if (declared && OWN_CHAINS.has(declared)) chains.set(declared, []);
    const [, chain, rule] = /^-A (\S+) (.*\S)\s*$/.exec(line) ?? [];
    if (!chain || !rule) continue;
    const position = (lengths.get(chain) ?? 0) + 1;
    lengths.set(chain, position);
    if (OWN_CHAINS.has(chain)) chains.get(chain)?.push(rule);
    else if (OWN_CHAINS.has(/ -[jg] (\S+)/.exec(` ${rule}`)?.[1] ?? '')) {
      const known = jumps.get(chain);
      if (known) known.rules.push(rule);
      else jumps.set(chain, { rules: [rule], position });
    }
  }
  return { chains, jumps };
}
