import { checkReferences } from '../mesh/check-references.ts';
import type { Instance } from '../mesh/instance.ts';
import { ConfigEntries, type Mesh } from '../mesh/mesh.ts';
import type { Place, Problem } from '../mesh/problem.ts';
import type { ConfigEntry } from '../mesh/schema/config-entry.ts';
import { foldName, withOneSpelling } from '../mesh/service-names.ts';
import { collectVirtualIps } from './collect-virtual-ips.ts';
import { type ExpandedNode, expandNode } from './expand-node.ts';
import type { ParsedFile, ParsedNode, Placed } from './parse-mesh-file.ts';

/** What a source found: the mesh, unless there are errors, and everything that is wrong. */
export interface MeshResult {
  readonly mesh?: Mesh;
  readonly problems: readonly Problem[];
}

/** Expands the parts of one node. Given from outside so that a caller may remember the nodes that did not change. */
export type NodeExpander = (name: string, parts: readonly ParsedNode[]) => ExpandedNode;

const DEFAULT_DATACENTER = 'dc1';

/** The union of mesh files. */
export function assembleMesh(files: readonly ParsedFile[], expand: NodeExpander = (_, parts) => expandNode(parts)): MeshResult {
  const problems: Problem[] = files.flatMap((file) => file.problems);
  const datacenter = singleton('datacenter', files, problems);
  const trustDomain = singleton('trust_domain', files, problems);
  const policy = singleton('default_intention_policy', files, problems);
  const { serviceNames, instances, entries } = withOneSpelling(collectInstances(files, expand, problems), collectEntries(files, problems));
  const { pinned, manual, problems: addressProblems } = collectVirtualIps(files, serviceNames);
  problems.push(...addressProblems);
  const incomplete: Omit<Mesh, 'problems'> = {
    datacenter: datacenter ?? DEFAULT_DATACENTER,
    ...(trustDomain ? { trustDomain } : {}),
    defaultIntentionPolicy: policy ?? 'deny',
    instances,
    configEntries: new ConfigEntries(entries),
    pinnedVirtualIps: pinned,
    manualVirtualIps: manual,
    serviceNames,
  };
  problems.push(...checkReferences(incomplete));
  const ordered = inOrder(problems);
  return ordered.some(({ severity }) => severity === 'error') ? { problems: ordered } : { mesh: { ...incomplete, problems: ordered }, problems: ordered };
}

/** Settings of the whole mesh may be given in any file, and in several if they agree. */
function singleton<Key extends keyof ParsedFile['singletons']>(key: Key, files: readonly ParsedFile[], problems: Problem[]) {
  const given = files.flatMap((file) => file.singletons[key] ?? []) as Placed<NonNullable<ParsedFile['singletons'][Key]>['value']>[];
  const [first, ...others] = given;
  for (const other of others) {
    if (other.value === first?.value) continue;
    const message = `"${key}" is ${JSON.stringify(other.value)} here and ${JSON.stringify(first?.value)} at ${spot(first?.place)}`;
    problems.push({ code: 'conflicting-value', severity: 'error', message, place: other.place, hint: 'say it once' });
  }
  return first?.value;
}

function collectInstances(files: readonly ParsedFile[], expand: NodeExpander, problems: Problem[]): Instance[] {
  const partsOf = new Map<string, ParsedNode[]>();
  for (const node of files.flatMap((file) => file.nodes)) {
    const name = foldName(node.definition.name);
    const parts = partsOf.get(name);
    if (parts) parts.push(node);
    else partsOf.set(name, [node]);
  }
  return [...partsOf].flatMap(([name, parts]) => {
    const expanded = expand(name, parts);
    problems.push(...expanded.problems);
    return expanded.instances;
  });
}

function collectEntries(files: readonly ParsedFile[], problems: Problem[]): ConfigEntry[] {
  const first = new Map<string, Place>();
  return files
    .flatMap((file) => file.entries)
    .map(({ value, place }) => {
      const key = `${value.kind}/${value.name}`;
      const earlier = first.get(foldName(key));
      if (earlier) {
        const message = `the config entry ${key} is already at ${spot(earlier)}`;
        problems.push({ code: 'duplicate-config-entry', severity: 'error', message, place, hint: 'keep one of them, or make them one' });
      } else first.set(foldName(key), place);
      return value;
    });
}

function spot(place: Place | undefined): string {
  return place?.file ? `${place.file}:${place.line}` : 'another place';
}

/** By file and line, as an editor would walk through them. */
function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(
    (a, b) =>
      (a.place?.file ?? '').localeCompare(b.place?.file ?? '') ||
      (a.place?.line ?? 0) - (b.place?.line ?? 0) ||
      (a.place?.column ?? 0) - (b.place?.column ?? 0),
  );
}
