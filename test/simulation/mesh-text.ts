import { parse } from 'yaml';

/**
 * A mesh file with shorthands, so that a test shows only what it is about:
 * - `services`: each a name or a service definition, on a machine of its own (`10.0.0.1`, `10.0.0.2`, …) with port 8080 and a transparent sidecar.
 *   Its `machine` is another address, `proxy` the settings of its sidecar, `sidecar: false` none, `health` that of its only check;
 * - `http`: services that speak HTTP;
 * - `intentions`: `web => api: allow`, or `{ web => api: [permission, …] }`;
 * - everything else is as in any mesh file.
 */
export function expandMeshText(text: string): Record<string, unknown> {
  const { services = [], http = [], intentions = [], nodes = [], config_entries: entries = [], ...others } = parse(text) as ShortMesh;
  return {
    ...others,
    nodes: [...nodes, ...services.map(nodeOf)],
    config_entries: [...http.map((name) => ({ kind: 'service-defaults', name, protocol: 'http' })), ...intentionEntries(intentions), ...entries],
  };
}

interface ShortMesh {
  readonly services?: readonly (string | ShortService)[];
  readonly http?: readonly string[];
  readonly intentions?: readonly (string | Readonly<Record<string, unknown>>)[];
  readonly nodes?: readonly unknown[];
  readonly config_entries?: readonly unknown[];
}

interface ShortService {
  readonly name: string;
  readonly id?: string;
  readonly machine?: string;
  readonly health?: string;
  readonly proxy?: Readonly<Record<string, unknown>>;
  readonly sidecar?: false | Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

function nodeOf(service: string | ShortService, index: number): unknown {
  const { machine = `10.0.0.${index + 1}`, health, proxy, sidecar, ...definition } = typeof service === 'string' ? { name: service } : service;
  return {
    name: `vm-${index + 1}`,
    address: machine,
    services: [
      {
        port: 8080,
        ...definition,
        ...(health && { checks: [{ name: 'health', status: health }] }),
        ...(sidecar !== false && { connect: { sidecar_service: { ...sidecar, proxy: { mode: 'transparent', ...proxy } } } }),
      },
    ],
  };
}

function intentionEntries(intentions: NonNullable<ShortMesh['intentions']>): unknown[] {
  const sources = new Map<string, unknown[]>();
  for (const intention of intentions) {
    const [arrow, outcome] = typeof intention === 'string' ? [intention.replace(/:[^:]*$/, ''), intention.replace(/^.*:\s*/, '')] : firstPair(intention);
    const [source = '', destination = ''] = arrow.split('=>').map((name) => name.trim());
    const more = Array.isArray(outcome) ? { permissions: outcome } : { action: outcome };
    sources.set(destination, [...(sources.get(destination) ?? []), { name: source, ...more }]);
  }
  return [...sources].map(([name, list]) => ({ kind: 'service-intentions', name, sources: list }));
}

function firstPair(record: Readonly<Record<string, unknown>>): readonly [string, unknown] {
  return Object.entries(record)[0] ?? ['', undefined];
}
