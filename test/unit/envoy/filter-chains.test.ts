import { describe, expect, it } from 'vitest';
import { singleAddressRange } from '../../../src/envoy/address.ts';
import { keepDistinctChains } from '../../../src/envoy/filter-chains.ts';

const chain = (name: string, ...addresses: string[]) => ({ name, filter_chain_match: { prefix_ranges: addresses.map(singleAddressRange) } });
const summary = (chains: ReturnType<typeof keepDistinctChains>['chains']) =>
  chains.map(({ name, filter_chain_match: match }) => [name, match?.prefix_ranges?.map(({ address_prefix: address }) => address)]);

describe('filter chains of one listener', () => {
  it('stay as they are while they differ, in addresses or in anything else', () => {
    const chains = [
      chain('a', '10.0.0.1'),
      chain('b', '10.0.0.2'),
      { name: 'c', filter_chain_match: { ...chain('', '10.0.0.1').filter_chain_match, destination_port: 80 } },
    ];
    expect(keepDistinctChains(chains, 'l')).toEqual({ chains, problems: [] });
  });

  it('lose what an earlier one claims, and go when nothing is left', () => {
    const { chains, problems } = keepDistinctChains([chain('a', '10.0.0.1', '10.0.0.2'), chain('b', '10.0.0.2', '10.0.0.3'), chain('c', '10.0.0.1')], 'l');
    expect(summary(chains)).toEqual([
      ['a', ['10.0.0.1', '10.0.0.2']],
      ['b', ['10.0.0.3']],
    ]);
    expect(problems.map(({ code, message }) => [code, message])).toEqual([
      ['filter-chain-overlap', expect.stringContaining('10.0.0.2')],
      ['filter-chain-overlap', expect.stringContaining('10.0.0.1')],
    ]);
  });

  it('that match everything are distinct only once', () => {
    expect(summary(keepDistinctChains([{ name: 'a' }, { name: 'b' }], 'l').chains)).toEqual([['a', undefined]]);
  });
});
