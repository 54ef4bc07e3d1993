import type { EntryLookup } from '../../mesh/mesh.ts';
import type { Problem, ProblemSubject } from '../../mesh/problem.ts';

/** The config entry that shapes the chain of a service from the top. */
export function chainSubject(entries: EntryLookup, service: string): ProblemSubject {
  const kinds = ['service-router', 'service-splitter', 'service-resolver', 'service-defaults'] as const;
  const kind = kinds.find((one) => entries.get(one, service) !== undefined);
  return { kind: kind ?? 'service-defaults', name: service };
}

export function protocolMismatch(service: string, other: string, protocol: string, expected: string): Omit<Problem, 'about'> {
  return {
    code: 'chain-protocol-mismatch',
    severity: 'error',
    message: `the chain of ${service} mixes protocols: ${other} speaks ${protocol}, what comes before it ${expected}`,
    hint: `give both the same protocol in their service-defaults, or in proxy-defaults`,
  };
}

export function needsHttp(service: string, protocol: string): Omit<Problem, 'about'> {
  return {
    code: 'chain-needs-http',
    severity: 'error',
    message: `${service} speaks ${protocol}, so its requests cannot be routed or split`,
    hint: 'set protocol http, http2 or grpc in the service-defaults of every service of the chain',
  };
}

export function unknownSubset(service: string, subset: string): Omit<Problem, 'about'> {
  return {
    code: 'unknown-subset',
    severity: 'error',
    message: `no service-resolver gives ${service} a subset ${JSON.stringify(subset)}`,
    hint: `add it to the subsets of service-resolver/${service}, or name one that is there`,
  };
}

export function circularRedirect(path: readonly string[]): Omit<Problem, 'about'> {
  return { code: 'chain-circular', severity: 'error', message: `resolvers redirect in a circle: ${path.join(' → ')}`, hint: 'let one of them end' };
}

export function circularSplit(path: readonly string[]): Omit<Problem, 'about'> {
  return {
    code: 'chain-circular',
    severity: 'error',
    message: `splitters refer to each other in a circle: ${path.join(' → ')}`,
    hint: 'name a service_subset where a split must not be split again',
  };
}

export function externalConflict(service: string, setting: string): Omit<Problem, 'about'> {
  return {
    code: 'external-sni-conflict',
    severity: 'error',
    message: `${service} has an external_sni, so its service-resolver cannot have ${setting}`,
    hint: 'remove one of the two',
  };
}

export function peerUnsupported(service: string, peer: string, severity: 'error' | 'warning'): Omit<Problem, 'about'> {
  return {
    code: 'peer-unsupported',
    severity,
    message: `service-resolver/${service} goes to the cluster peer ${peer}; peering is not supported${severity === 'warning' ? ', so this target is left out' : ''}`,
  };
}

export function tooManySplits(service: string, limit: number): Omit<Problem, 'about'> {
  return {
    code: 'chain-too-large',
    severity: 'error',
    message: `the splits of ${service} have more than ${limit} ends once splits of splits are multiplied out`,
    hint: 'split over fewer levels',
  };
}
