import type { Defect } from '../schema/parser.ts';
import type { ServiceSplitter } from '../schema/service-splitter.ts';

/** Weights are shares of 10,000 in Envoy. */
const SMALLEST_WEIGHT = 0.01;

/** What Consul refuses of a service-splitter entry. */
export function checkServiceSplitter(entry: ServiceSplitter): Defect[] {
  if (entry.splits.length === 0) return [{ code: 'missing-field', message: 'the entry has no splits', path: [], hint: 'add splits, or remove the entry' }];
  const defects: Defect[] = [];
  const seen = new Set<string>();
  for (const [index, split] of entry.splits.entries()) {
    const target = `${split.service ?? entry.name}/${split.service_subset ?? ''}`;
    if (seen.has(target)) {
      defects.push({ code: 'duplicate-value', message: 'two splits lead to the same place', path: ['splits', index], hint: 'add their weights up' });
    }
    seen.add(target);
    if (split.weight !== 0 && split.weight < SMALLEST_WEIGHT) {
      defects.push({ code: 'invalid-value', message: `${split.weight} is less than ${SMALLEST_WEIGHT}`, path: ['splits', index, 'weight'] });
    }
  }
  const shares = entry.splits.reduce((sum, { weight }) => sum + Math.round(weight / SMALLEST_WEIGHT), 0);
  if (shares !== 100 / SMALLEST_WEIGHT) {
    defects.push({
      code: 'weights-not-100',
      message: `the weights add up to ${Number((shares * SMALLEST_WEIGHT).toFixed(2))}, not to 100`,
      path: ['splits'],
      hint: 'make them add up to 100',
    });
  }
  return defects;
}
