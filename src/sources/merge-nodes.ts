import { isAddress } from '../mesh/check/address.ts';
import { type Problem, placeWithin } from '../mesh/problem.ts';
import type { NodeDefinition } from '../mesh/schema/service.ts';
import { missingStatus } from './check-service.ts';
import type { ParsedNode } from './parse-mesh-file.ts';

/** Entries of the same node, which may stand in several files: their checks add up, what they say twice must agree. */
export function mergeNodes(parts: readonly ParsedNode[]): { readonly node: NodeDefinition; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const name = parts[0]?.definition.name ?? '';
  const addressed = parts.filter(({ definition }) => definition.address);
  const address = addressed[0]?.definition.address;
  for (const { definition, place } of addressed) {
    if (definition.address !== address) {
      const first = addressed[0]?.place;
      const message = `node "${name}" has the address ${definition.address} here and ${address} at ${first?.file}:${first?.line}`;
      problems.push({ code: 'conflicting-value', severity: 'error', message, place: placeWithin(place, ['address']) ?? place, hint: 'say it once' });
    } else if (address && !isAddress(address)) {
      const message = `${JSON.stringify(address)} is neither an IP address nor a host name`;
      problems.push({ code: 'invalid-address', severity: 'error', message, place: placeWithin(place, ['address']) ?? place, hint: 'write an IP address' });
    }
  }
  for (const { definition, place } of parts) {
    problems.push(...definition.checks.flatMap((check, index) => missingStatus(check, placeWithin(place, ['checks', index]) ?? place)));
  }
  if (!address) {
    const place = parts[0]?.place;
    const message = `node "${name}" has no address`;
    problems.push({ code: 'missing-field', severity: 'error', message, ...(place ? { place } : {}), hint: 'add "address"' });
  }
  return { node: { ...mergeRest(parts.map(({ definition }) => definition)), name, ...(address ? { address } : {}) }, problems };
}

function mergeRest(definitions: readonly NodeDefinition[]): Omit<NodeDefinition, 'name' | 'address'> {
  const locality = definitions.find((definition) => definition.locality)?.locality;
  return {
    meta: Object.assign({}, ...definitions.map(({ meta }) => meta)),
    tagged_addresses: Object.assign({}, ...definitions.map(({ tagged_addresses }) => tagged_addresses)),
    checks: definitions.flatMap(({ checks }) => checks),
    agent_local: definitions.some(({ agent_local }) => agent_local),
    ...(locality ? { locality } : {}),
    services: [],
  };
}
