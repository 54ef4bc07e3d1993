import type { ConfigEntries } from '../mesh.ts';
import type { Problem } from '../problem.ts';
import { protocolByEntries } from '../service-protocol.ts';
import { type Target, targetsOf } from './reference-targets.ts';
import { problemIn, type Referenced } from './references.ts';

/** What routers, splitters and resolvers say of protocols, subsets and each other. Consul refuses these on writing. */
export function checkChainReferences({ configEntries }: Referenced): Problem[] {
  const routers = configEntries.ofKind('service-router');
  const splitters = configEntries.ofKind('service-splitter');
  const resolvers = configEntries.ofKind('service-resolver');
  return [
    ...[...routers, ...splitters].flatMap((entry) => checkRoutable(entry, configEntries)),
    ...[...routers, ...splitters, ...resolvers].flatMap((entry) =>
      targetsOf(entry)
        .filter(({ isElsewhere }) => !isElsewhere)
        .flatMap((target) => [...checkSubset(entry, target, configEntries), ...checkProtocol(entry, target, configEntries)]),
    ),
    ...resolvers.flatMap((entry) => checkCircle(entry, configEntries)),
  ];
}

type Entry = Parameters<typeof targetsOf>[0];

function checkRoutable(entry: Entry, entries: ConfigEntries): Problem[] {
  if (protocolByEntries(entries, entry.name) !== 'tcp') return [];
  const message = `"${entry.name}" speaks tcp, which has no requests to ${entry.kind === 'service-splitter' ? 'split' : 'route'}`;
  const hint = `write a service-defaults entry for "${entry.name}" with protocol http, http2 or grpc`;
  return [problemIn(entry, ['kind'], { severity: 'error', code: 'chain-needs-http', message, hint })];
}

function checkSubset(entry: Entry, target: Target, entries: ConfigEntries): Problem[] {
  const { service, subset } = followRedirects(target, entries);
  if (!subset) return [];
  const subsets = entries.get('service-resolver', service)?.subsets ?? {};
  if (Object.hasOwn(subsets, subset)) return [];
  const known = Object.keys(subsets);
  const hint = known.length > 0 ? `it has ${known.join(', ')}` : `define it in a service-resolver entry for "${service}"`;
  const path = [...target.path, 'service_subset'];
  return [problemIn(entry, path, { severity: 'error', code: 'unknown-subset', message: `the service "${service}" has no subset "${subset}"`, hint })];
}

/** Source: Consul forgets the subset when a redirect leads to another service without naming one. */
function followRedirects({ service, subset }: Pick<Target, 'service' | 'subset'>, entries: ConfigEntries): Pick<Target, 'service' | 'subset'> {
  const seen = new Set<string>();
  let at = { service, subset };
  while (!seen.has(at.service)) {
    seen.add(at.service);
    const redirect = entries.get('service-resolver', at.service)?.redirect;
    if (!redirect || redirect.peer) return at;
    const next = redirect.service ?? at.service;
    at = { service: next, subset: redirect.service_subset ?? (next === at.service ? at.subset : undefined) };
  }
  return at;
}

function checkProtocol(entry: Entry, { service, path }: Target, entries: ConfigEntries): Problem[] {
  const own = protocolByEntries(entries, entry.name);
  const other = protocolByEntries(entries, service);
  if (own === other) return [];
  const message = `"${entry.name}" speaks ${own}, but "${service}" speaks ${other}`;
  return [
    problemIn(entry, [...path, 'service'], {
      severity: 'warning',
      code: 'chain-protocol-mismatch',
      message,
      hint: 'give both the same protocol in their service-defaults',
    }),
  ];
}

function checkCircle(entry: Entry, entries: ConfigEntries): Problem[] {
  const path = [entry.name];
  for (;;) {
    const next = entries.get('service-resolver', path.at(-1) ?? '')?.redirect?.service;
    if (!next) return [];
    if (next === entry.name && path.length > 1) {
      const message = `redirects go in a circle: ${[...path, next].join(' → ')}`;
      return [problemIn(entry, ['redirect', 'service'], { severity: 'error', code: 'chain-circular', message, hint: 'let one of them be the service itself' })];
    }
    if (path.includes(next)) return [];
    path.push(next);
  }
}
