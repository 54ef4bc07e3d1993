import { parseInstanceFilter } from '../instance-filter/instance-filter.ts';
import { NAME_PATTERN } from '../schema/field.ts';
import type { Defect, ValuePath } from '../schema/parser.ts';
import type { LoadBalancer, ServiceResolver } from '../schema/service-resolver.ts';

/** What Consul refuses of a service-resolver entry. */
export function checkServiceResolver(entry: ServiceResolver): Defect[] {
  return [
    ...checkSubsets(entry),
    ...checkFilters(entry),
    ...checkRedirect(entry),
    ...checkFailover(entry),
    ...(entry.load_balancer ? checkLoadBalancer(entry.load_balancer) : []),
  ];
}

function checkSubsets({ subsets, default_subset }: ServiceResolver): Defect[] {
  const defects: Defect[] = Object.keys(subsets)
    .filter((name) => !NAME_PATTERN.test(name) || name.includes('.'))
    .map((name) => ({
      code: 'invalid-name',
      message: `${JSON.stringify(name)} is not a valid subset name`,
      path: ['subsets', name],
      hint: 'use letters, digits and "-": it becomes part of a host name',
    }));
  if (default_subset && !Object.hasOwn(subsets, default_subset)) {
    defects.push({
      code: 'unknown-subset',
      message: `default_subset "${default_subset}" is not among the subsets`,
      path: ['default_subset'],
      hint: `define it under "subsets", or use ${named(Object.keys(subsets))}`,
    });
  }
  return defects;
}

function named(names: readonly string[]): string {
  return names.length > 0 ? `one of ${names.join(', ')}` : 'none';
}

function checkFilters({ subsets }: ServiceResolver): Defect[] {
  return Object.entries(subsets).flatMap(([name, { filter = '' }]) => {
    const { error } = parseInstanceFilter(filter);
    if (error === undefined) return [];
    return { code: 'invalid-filter', message: error, path: ['subsets', name, 'filter'], hint: 'write it as in: Service.Meta.version == v1' };
  });
}

function checkRedirect(entry: ServiceResolver): Defect[] {
  const { redirect } = entry;
  if (!redirect) return [];
  const { service, service_subset, datacenter, peer, sameness_group } = redirect;
  const defects: Defect[] = [];
  if (!service && !service_subset && !datacenter && !peer && !sameness_group) {
    defects.push({ code: 'missing-field', message: 'the redirect leads nowhere', path: ['redirect'], hint: 'add "service"' });
  }
  if (service === entry.name && !service_subset && !datacenter && !peer) {
    defects.push({
      code: 'redirect-to-itself',
      message: `"${entry.name}" is redirected to itself`,
      path: ['redirect', 'service'],
      hint: 'name another service',
    });
  }
  if (service_subset && !service) {
    defects.push({ code: 'missing-field', message: 'a redirect to a subset needs its service', path: ['redirect', 'service_subset'], hint: 'add "service"' });
  }
  if (peer && datacenter) {
    defects.push({
      code: 'conflicting-fields',
      message: '"peer" and "datacenter" cannot stand together',
      path: ['redirect', 'peer'],
      hint: 'keep one of them',
    });
  }
  for (const key of ['subsets', 'failover'] as const) {
    if (Object.keys(entry[key]).length > 0) {
      defects.push({
        code: 'conflicting-fields',
        message: `"redirect" and "${key}" cannot stand together`,
        path: [key],
        hint: `"${key}" belongs into the resolver of the service it is redirected to`,
      });
    }
  }
  return defects;
}

function checkFailover(entry: ServiceResolver): Defect[] {
  return Object.entries(entry.failover).flatMap(([subset, failover]) => {
    const path: ValuePath = ['failover', subset];
    const defects: Defect[] = [];
    if (subset !== '*' && !Object.hasOwn(entry.subsets, subset)) {
      defects.push({
        code: 'unknown-subset',
        message: `failover for the subset "${subset}", which is not defined`,
        path,
        hint: 'define it under "subsets", or write "*"',
      });
    }
    const single = failover.service || failover.service_subset || failover.datacenters.length > 0;
    if (!single && failover.targets.length === 0 && !failover.sameness_group) {
      defects.push({ code: 'missing-field', message: 'the failover has no target', path, hint: 'add "service", "datacenters" or "targets"' });
    }
    if (single && failover.targets.length > 0) {
      defects.push({
        code: 'conflicting-fields',
        message: '"targets" cannot stand beside "service", "service_subset" or "datacenters"',
        path: [...path, 'targets'],
        hint: 'make the others a target',
      });
    }
    for (const [index, target] of failover.targets.entries()) {
      if (target.peer && target.datacenter) {
        defects.push({
          code: 'conflicting-fields',
          message: '"peer" and "datacenter" cannot stand together',
          path: [...path, 'targets', index, 'peer'],
          hint: 'keep one of them',
        });
      }
    }
    return defects;
  });
}

function checkLoadBalancer(balancer: LoadBalancer): Defect[] {
  const defects: Defect[] = [];
  const { policy, ring_hash_config: ring, least_request_config: least } = balancer;
  const misplaced = (key: string, needed: string): Defect => ({
    code: 'conflicting-fields',
    message: `"${key}" has no meaning with policy ${policy ? `"${policy}"` : 'absent'}`,
    path: ['load_balancer', key],
    hint: `set policy to ${needed}, or leave it out`,
  });
  if (ring && policy !== 'ring_hash') defects.push(misplaced('ring_hash_config', '"ring_hash"'));
  if (least && policy !== 'least_request') defects.push(misplaced('least_request_config', '"least_request"'));
  if (balancer.hash_policies.length > 0 && policy !== 'ring_hash' && policy !== 'maglev') {
    defects.push(misplaced('hash_policies', '"ring_hash" or "maglev"'));
  }
  if (ring?.minimum_ring_size !== undefined && ring.maximum_ring_size !== undefined && ring.minimum_ring_size > ring.maximum_ring_size) {
    defects.push({ code: 'invalid-value', message: 'the smallest ring is larger than the largest', path: ['load_balancer', 'ring_hash_config'] });
  }
  for (const [index, hash] of balancer.hash_policies.entries()) defects.push(...checkHashPolicy(hash, ['load_balancer', 'hash_policies', index]));
  return defects;
}

function checkHashPolicy(hash: LoadBalancer['hash_policies'][number], path: ValuePath): Defect[] {
  const { field, field_value, cookie_config: cookie, source_ip } = hash;
  const conflict = (message: string, key: string, hint: string): Defect => ({ code: 'conflicting-fields', message, path: [...path, key], hint });
  if (source_ip && (field || field_value)) return [conflict('"source_ip" and "field" cannot stand together', 'source_ip', 'make them two hash policies')];
  if (!source_ip && (!field || !field_value)) {
    return [{ code: 'missing-field', message: 'nothing to hash', path, hint: 'set "field" and "field_value", or "source_ip"' }];
  }
  if (cookie && field !== 'cookie') return [conflict('"cookie_config" needs field "cookie"', 'cookie_config', 'leave it out')];
  if (cookie?.session && cookie.ttl) return [conflict('a session cookie has no "ttl"', 'cookie_config', 'keep one of "session" and "ttl"')];
  return [];
}
