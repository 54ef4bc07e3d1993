import { locateProblem } from '../../mesh/locate-problem.ts';
import type { ConfigEntries } from '../../mesh/mesh.ts';
import type { Problem } from '../../mesh/problem.ts';
import { compileDiscoveryChain } from './compile.ts';

const CHAIN_KINDS = ['service-router', 'service-splitter', 'service-resolver'] as const;

/** Every chain that config entries shape: what keeps it from being compiled, whether or not anybody calls the service. */
export function checkDiscoveryChains(entries: ConfigEntries, datacenter: string): Problem[] {
  const services = new Set(CHAIN_KINDS.flatMap((kind) => entries.ofKind(kind).map(({ name }) => name)));
  // The trust domain is part of names only, so any will do.
  const problems = [...services].flatMap((service) => compileDiscoveryChain({ service, entries, datacenter, trustDomain: '' }).problems);
  // A chain that is part of others has its defects reported once.
  const distinct = new Map(problems.map((problem) => [`${problem.code} ${problem.message}`, problem]));
  return [...distinct.values()].map((problem) => locateProblem(problem, { configEntries: entries, instances: [] }));
}
