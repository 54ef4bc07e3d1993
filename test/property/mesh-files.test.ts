import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';

const sound = {
  datacenter: 'dc1',
  nodes: [
    {
      name: 'vm-web',
      address: '10.0.0.1',
      checks: [{ status: 'passing' }],
      services: [
        {
          name: 'web',
          port: 8080,
          tagged_addresses: { virtual: { address: '172.20.0.1', port: 1 } },
          connect: {
            sidecar_service: { proxy: { mode: 'transparent', upstreams: [{ destination_name: 'api', local_bind_port: 5000 }], config: { protocol: 'http' } } },
          },
        },
      ],
    },
  ],
  config_entries: [
    { kind: 'service-intentions', name: 'api', sources: [{ name: 'web', permissions: [{ action: 'allow', http: { path_prefix: '/' } }] }] },
    { kind: 'service-defaults', name: 'api', protocol: 'http', destination: { addresses: ['10.1.0.1'], port: 80 } },
    { kind: 'service-resolver', name: 'api', subsets: { v1: { filter: '' } }, failover: { '*': { service: 'b' } }, connect_timeout: '5s' },
    { kind: 'service-splitter', name: 'api', splits: [{ weight: 100, service_subset: 'v1' }] },
  ],
  virtual_ips: { api: '240.0.0.1' },
  manual_virtual_ips: { api: ['172.30.0.1'] },
};

type Path = (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, Array.isArray(value) ? Number(key) : key]))];
}

function replaceAt(value: unknown, [head, ...rest]: Path, by: unknown): unknown {
  if (head === undefined) return by;
  if (Array.isArray(value)) return value.map((item, index) => (index === head ? replaceAt(item, rest, by) : item));
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, key === head ? replaceAt(item, rest, by) : item]));
}

/** Anything at any place of a sound mesh file. */
const damaged = fc
  .tuple(fc.constantFrom(...pathsOf(sound)), fc.oneof(fc.jsonValue(), fc.constantFrom('*', '', -1, 70_000, '240.0.0.1', 'api')))
  .map(([path, by]) => replaceAt(sound, path, by));

test('any file gives a mesh or errors, each with its line; never an exception', () => {
  fc.assert(
    fc.property(damaged, (value) => {
      const { mesh, problems } = parseMeshFiles([{ path: 'mesh.json', text: JSON.stringify(value, null, 1) }]);
      expect(mesh === undefined).toBe(problems.some(({ severity }) => severity === 'error'));
      for (const { place } of problems) expect(place?.file).toBe('mesh.json');
    }),
    { numRuns: 150 },
  );
});

test('any text gives a mesh or errors', () => {
  const scrap = fc.constantFrom('nodes:', '- ', 'name: a', '\n', '  ', '{', '}', '[', ']', '&a ', '*a', '"', ':', '\t', '!!js ', '|', '<<', '# ', '---\n', 'é');
  fc.assert(
    fc.property(fc.array(scrap, { maxLength: 30 }), (parts) => {
      const { mesh, problems } = parseMeshFiles([{ path: 'mesh.yaml', text: parts.join('') }]);
      expect(mesh === undefined).toBe(problems.some(({ severity }) => severity === 'error'));
    }),
    { numRuns: 150 },
  );
});
