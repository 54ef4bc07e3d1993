import type { Problem } from '../mesh/problem.ts';
import type { envoy_config_listener_v3_FilterChain as FilterChain } from '../proto/generated/types.ts';

/**
 * Envoy refuses a whole listener, and every chain in it, when two of its chains match the same. Here the first one keeps what both
 * claim; the later one loses that address, and goes when nothing is left of it.
 */
export function keepDistinctChains(chains: readonly FilterChain[], listener: string): { chains: FilterChain[]; problems: Problem[] } {
  const claimed = new Set<string>();
  const kept: FilterChain[] = [];
  const problems: Problem[] = [];
  for (const chain of chains) {
    const { prefix_ranges: ranges, ...others } = chain.filter_chain_match ?? {};
    const rest = JSON.stringify(Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1)));
    const claims = (ranges ?? [undefined]).map((range) => ({ range, key: `${range ? `${range.address_prefix}/${range.prefix_len}` : 'any'} ${rest}` }));
    const free = claims.filter(({ key }) => !claimed.has(key));
    for (const { key } of free) claimed.add(key);
    const lost = claims.filter((claim) => !free.includes(claim));
    if (lost.length > 0)
      problems.push(
        overlap(
          listener,
          lost.map(({ range }) => range?.address_prefix ?? 'every address'),
        ),
      );
    if (free.length === 0) continue;
    if (lost.length === 0) kept.push(chain);
    else kept.push({ ...chain, filter_chain_match: { ...others, prefix_ranges: free.flatMap(({ range }) => (range ? [range] : [])) } });
  }
  return { chains: kept, problems };
}

function overlap(listener: string, addresses: readonly string[]): Problem {
  return {
    code: 'filter-chain-overlap',
    severity: 'error',
    message: `${listener}: ${addresses.join(', ')} ${addresses.length > 1 ? 'are' : 'is'} claimed by more than one upstream; the first by name has ${addresses.length > 1 ? 'them' : 'it'}`,
    hint: 'give each service virtual addresses of its own',
  };
}
