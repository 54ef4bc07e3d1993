import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseUncheckedMesh, virtualIpsOf } from '../simulation/parse-mesh.ts';
import { Simulation } from '../simulation/simulate.ts';
import { type RandomMesh, randomMesh } from './random-mesh.ts';

/** Consul compares names without case: `PROPERTY_RUNS=5000` looks longer. */

const RUNS = Number(process.env.PROPERTY_RUNS ?? 40);

/** Keys whose value names a service. Header and provider names are none, so only where services are named. */
const NAMES_A_SERVICE = new Set(['destination_name', 'service']);
const LISTS_OF_SERVICES = new Set(['sources', 'overrides', 'services']);

/** The same file, with every mention of a service, its registrations left out, in whatever case `upper` says. */
function misspell(file: RandomMesh, upper: (letter: number) => boolean): RandomMesh {
  let letters = 0;
  // A name that nobody is registered under has no spelling but that of its entries.
  const registered = new Set([...JSON.stringify(file.nodes).matchAll(/"(?:name|destination_service_name)":"([^"]+)"/g)].map(([, name]) => name));
  const respell = (name: string) => (registered.has(name) ? inAnyCase(name) : name);
  const inAnyCase = (name: string) => [...name].map((letter) => (upper(letters++) ? letter.toUpperCase() : letter)).join('');
  const isText = (value: unknown): value is string => typeof value === 'string';
  const walk = (value: unknown, within: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => walk(item, within));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const names = NAMES_A_SERVICE.has(key) || (key === 'name' && LISTS_OF_SERVICES.has(within));
        return [key, names && isText(item) && !('destination_type' in value) ? respell(item) : walk(item, key)];
      }),
    );
  };
  const nodes = file.nodes.map((node) => ({ ...node, services: walkProxies(node) }));
  const config_entries = file.config_entries.map((entry) => {
    const named = entry.kind.startsWith('service-') && entry.name && !entry.name.startsWith('*') ? respell(entry.name) : entry.name;
    return { ...(walk(entry, '') as typeof entry), ...(named === undefined ? {} : { name: named }) };
  });
  const manual_virtual_ips = Object.fromEntries(Object.entries(file.manual_virtual_ips).map(([name, addresses]) => [respell(name), addresses]));
  return { ...file, nodes, config_entries, manual_virtual_ips };

  function walkProxies(node: object): unknown {
    const { services = [] } = node as { services?: { connect?: unknown; proxy?: unknown }[] };
    return services.map((service) => ({ ...service, ...(service.connect ? { connect: walk(service.connect, '') } : {}) }));
  }
}

test('however a mesh spells the services it speaks of, its sidecars are given the same', { timeout: 300_000 }, () => {
  fc.assert(
    fc.property(randomMesh(), fc.infiniteStream(fc.boolean()), (file, cases) => {
      // The stream remembers nothing, so that the same letters come again when fast-check shrinks.
      const drawn: boolean[] = [];
      const upper = (letter: number) => {
        while (drawn.length <= letter) drawn.push(cases.next().value ?? false);
        return drawn[letter] ?? false;
      };
      const one = resourcesOf(file);
      expect(resourcesOf(misspell(file, upper))).toEqual(one);
    }),
    { numRuns: RUNS },
  );
});

function resourcesOf(file: RandomMesh): unknown {
  const mesh = parseUncheckedMesh(file);
  return new Simulation(mesh, virtualIpsOf(mesh)).sidecars.map(({ resources }) => resources);
}
