import { type ChainJumps, NO_RULES, type RuleSet, type RuleSets, TABLES } from './rule-set.ts';

/**
 * The input of `iptables-restore --noflush` that turns what is there of ours into what is wanted and touches nothing else: empty
 * when there is nothing to do. Each table is one transaction: it happens whole or not at all.
 */
export function buildTransition(present: RuleSets, wanted: RuleSets): string {
  return TABLES.map((table) => {
    const lines = tableTransition(present[table] ?? NO_RULES, wanted[table] ?? NO_RULES);
    return lines.length === 0 ? '' : `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
  }).join('');
}

function tableTransition(present: RuleSet, wanted: RuleSet): string[] {
  const surplus = [...present.chains.keys()].filter((chain) => !wanted.chains.has(chain));
  const hosts = new Set([...present.jumps.keys(), ...wanted.jumps.keys()]);
  const jumps = [...hosts].map((chain) => jumpTransition(chain, present.jumps.get(chain), wanted.jumps.get(chain)));
  return [
    // Declaring a chain also empties it.
    ...[...wanted.chains.keys()].map((chain) => `:${chain} - [0:0]`),
    ...[...wanted.chains].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
    ...jumps.flatMap((jump) => jump.removed),
    ...jumps.flatMap((jump) => jump.added),
    ...surplus.map((chain) => `-F ${chain}`),
    ...surplus.map((chain) => `-X ${chain}`),
  ];
}

/** Jumps that are right already stay where they are; others are replaced where the first of them stood. */
function jumpTransition(chain: string, present: ChainJumps | undefined, wanted: ChainJumps | undefined): { removed: string[]; added: string[] } {
  const before = present?.rules ?? [];
  const after = wanted?.rules ?? [];
  if (before.length === after.length && before.every((rule, index) => rule === after[index])) return { removed: [], added: [] };
  const position = present?.position ?? wanted?.position;
  return {
    removed: before.map((rule) => `-D ${chain} ${rule}`),
    added: after.map((rule, index) => (position === undefined ? `-A ${chain} ${rule}` : `-I ${chain} ${position + index} ${rule}`)),
  };
}
