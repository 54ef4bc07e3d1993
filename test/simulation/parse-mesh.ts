import { ConfigEntries, type Mesh } from '../../src/mesh/mesh.ts';
import { formatProblem } from '../../src/mesh/problem.ts';
import { withOneSpelling } from '../../src/mesh/service-names.ts';
import { collectVirtualIps } from '../../src/sources/collect-virtual-ips.ts';
import { expandNode } from '../../src/sources/expand-node.ts';
import { parseMeshFile } from '../../src/sources/parse-mesh-file.ts';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';
import { addressesOf, allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp } from '../../src/topology/virtual-ips.ts';

/** The mesh of a file that has no errors. */
export function parseMesh(file: object): Mesh {
  const { mesh, problems } = parseMeshFiles([{ path: 'mesh.json', text: JSON.stringify(file) }]);
  if (!mesh) throw new Error(problems.map(formatProblem).join('\n'));
  return mesh;
}

/** The mesh of a file as a live Consul would give it: each object is sound by itself, but what refers to what need not be. */
export function parseUncheckedMesh(file: object): Mesh {
  const parsed = parseMeshFile({ path: 'mesh.json', text: JSON.stringify(file) });
  if (parsed.problems.length > 0) throw new Error(parsed.problems.map(formatProblem).join('\n'));
  const { serviceNames, instances, entries } = withOneSpelling(
    parsed.nodes.flatMap((node) => expandNode([node]).instances),
    parsed.entries.map(({ value }) => value),
  );
  const { pinned, manual } = collectVirtualIps([parsed], serviceNames);
  return {
    datacenter: parsed.singletons.datacenter?.value ?? 'dc1',
    defaultIntentionPolicy: parsed.singletons.default_intention_policy?.value ?? 'deny',
    instances,
    configEntries: new ConfigEntries(entries),
    serviceNames,
    pinnedVirtualIps: pinned,
    manualVirtualIps: manual,
    problems: [],
  };
}

/** Service → its virtual IP, all handed out at once; with those of an `earlier` mesh kept. */
export function virtualIpsOf(mesh: Mesh, earlier: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const before = { ...NO_VIRTUAL_IPS, assigned: Object.fromEntries(earlier) };
  const state = allocateVirtualIps(before, namesNeedingVirtualIp(mesh), { pinned: mesh.pinnedVirtualIps, now: 0 });
  return addressesOf(state, namesNeedingVirtualIp(mesh));
}
