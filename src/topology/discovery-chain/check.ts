import type { ConfigEntries } from '../../mesh/mesh.ts';
import type { Problem } from '../../mesh/problem.ts';
import type { ServiceResolver } from '../../mesh/schema/service-resolver.ts';
import { compileDiscoveryChain } from './compile.ts';
import { parseInstanceFilter } from './filter.ts';

const CHAIN_KINDS = ['service-router', 'service-splitter', 'service-resolver'] as const;

/** Every chain that config entries shape, and every subset's filter: what is wrong with them, whoever calls the services. */
export function checkDiscoveryChains(entries: ConfigEntries, datacenter: string): Problem[] {
  const services = new Set(CHAIN_KINDS.flatMap((kind) => entries.ofKind(kind).map(({ name }) => name)));
  // The trust domain is part of names only, so any will do.
  const ofChains = [...services].flatMap((service) => compileDiscoveryChain({ service, entries, datacenter, trustDomain: '' }).problems);
  return [...withoutDuplicates(ofChains), ...entries.ofKind('service-resolver').flatMap((resolver) => checkFilters(entries, resolver))];
}

function checkFilters(entries: ConfigEntries, { name, subsets }: ServiceResolver): Problem[] {
  return Object.entries(subsets).flatMap(([subset, { filter }]) => {
    const { error } = parseInstanceFilter(filter ?? '');
    if (error === undefined) return [];
    return {
      code: 'invalid-filter',
      severity: 'error' as const,
      message: `the filter of subset ${JSON.stringify(subset)} of ${name} matches no instance: ${error}`,
      place: { object: `service-resolver/${name}`, ...entries.get('service-resolver', name)?.place },
      hint: 'write it as in: Service.Meta.version == v1',
    };
  });
}

/** A chain that is part of another one has its defects reported once. */
function withoutDuplicates(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.code} ${problem.message}`, problem])).values()];
}
