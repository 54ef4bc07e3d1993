import { z } from 'zod';
import { type Place, type Problem, placed, searchablePlace } from '../mesh/problem.ts';
import type { ConfigEntry } from '../mesh/schema/config-entry.ts';
import { oneOf, text } from '../mesh/schema/field.ts';
import { parseConfigEntry } from '../mesh/schema/parse-config-entry.ts';
import { parserOf, type ValuePath } from '../mesh/schema/parser.ts';
import { type NodeDefinition, nodeDefinition, type ServiceDefinition, serviceDefinition } from '../mesh/schema/service.ts';
import { closestWord, foldKey } from '../mesh/schema/spelling.ts';
import { lazyLocator, problemOf, readMeshDocument } from './mesh-document.ts';
import type { MeshFile } from './mesh-file.ts';

/** The top level of a mesh file. Nodes and entries are parsed one by one, so that a defect in one hides none in another. */
const meshFileSchema = z.strictObject({
  description: text('For people.'),
  datacenter: pattern(/^[A-Za-z0-9_-]{1,63}$/, 'a datacenter has letters, digits, "-" and "_"')
    .meta({ description: 'The datacenter.', default: 'dc1' })
    .optional(),
  trust_domain: pattern(/^[a-z0-9._-]{1,255}$/, 'a trust domain has lower-case letters, digits, ".", "-" and "_"')
    .meta({ description: 'The domain of all SPIFFE IDs.', default: 'made once and kept in the data dir' })
    .optional(),
  default_intention_policy: oneOf(['allow', 'deny'], 'What holds where no intention does.', { default: 'deny' }),
  nodes: z.array(z.unknown()).meta({ description: 'The machines and the services on them.' }).default([]),
  config_entries: z.array(z.unknown()).meta({ description: 'What `consul config write` takes.' }).default([]),
  virtual_ips: z.record(z.string(), z.string()).meta({ description: 'Service → its virtual IP, pinned.' }).default({}),
  manual_virtual_ips: z.record(z.string(), z.array(z.string())).meta({ description: 'Service → virtual IPs managed elsewhere.' }).default({}),
});

/** Both become part of every SPIFFE ID and SNI. */
function pattern(allowed: RegExp, hint: string) {
  return z.string().refine((value) => allowed.test(value), {
    error: (issue) => `${JSON.stringify(issue.input)} is not a valid name`,
    params: { code: 'invalid-name', hint },
  });
}

const parseTopLevel = parserOf(meshFileSchema);
const KNOWN_KEYS = Object.keys(meshFileSchema.shape);
const FOLDED_KEYS = new Set(KNOWN_KEYS.map(foldKey));
const parseNode = parserOf(nodeDefinition);
const parseService = parserOf(serviceDefinition);

/** A value and where it stands. */
export interface Placed<Value> {
  readonly value: Value;
  readonly place: Place;
}

export interface ParsedNode {
  readonly definition: NodeDefinition;
  readonly place: Place;
  readonly services: readonly Placed<ServiceDefinition>[];
}

/** What one file says, checked as far as one file can be. */
export interface ParsedFile {
  readonly path: string;
  readonly singletons: {
    readonly datacenter?: Placed<string>;
    readonly trust_domain?: Placed<string>;
    readonly default_intention_policy?: Placed<'allow' | 'deny'>;
  };
  readonly nodes: readonly ParsedNode[];
  readonly entries: readonly Placed<ConfigEntry>[];
  readonly virtualIps: readonly Placed<readonly [service: string, address: string]>[];
  readonly manualVirtualIps: readonly Placed<readonly [service: string, address: string]>[];
  readonly problems: readonly Problem[];
}

/** Parses one mesh file; every defect of it at once. */
export function parseMeshFile(file: MeshFile): ParsedFile {
  const document = readMeshDocument(file, looksLikeMesh(file.text));
  const nothing = { path: file.path, singletons: {}, nodes: [], entries: [], virtualIps: [], manualVirtualIps: [] };
  if (document.problems.length > 0) return { ...nothing, problems: bounded(document.problems) };
  if (!isMesh(document.value)) return { ...nothing, problems: [noMesh(document.locate([]))] };

  const problems: Problem[] = [];
  const relocate = lazyLocator(file);
  const placeOf = (path: ValuePath, object?: string) => placeOfValue(document.locate(path), relocate, path, object);
  const report = (defects: readonly Parameters<typeof problemOf>[0][], path: ValuePath, object?: string) => {
    problems.push(...defects.map((defect) => problemOf(defect, document.locate, path, object)));
  };

  const top = parseTopLevel(document.value);
  report(top.defects, []);
  // Defects of the top level must not hide those of the nodes and entries below it.
  const below = top.value ?? listsOf(document.value);
  const nodes = below.nodes.flatMap((input, index) => parseNodeAt(input, ['nodes', index]));
  const entries = below.config_entries.flatMap((input, index) => parseEntryAt(input, ['config_entries', index]));
  if (!top.value) return { ...nothing, nodes, entries, problems: bounded(problems) };

  const { datacenter, trust_domain, default_intention_policy, virtual_ips, manual_virtual_ips } = top.value;
  return {
    path: file.path,
    singletons: {
      ...(datacenter ? { datacenter: { value: datacenter, place: placeOf(['datacenter']) } } : {}),
      ...(trust_domain ? { trust_domain: { value: trust_domain, place: placeOf(['trust_domain']) } } : {}),
      ...(default_intention_policy ? { default_intention_policy: { value: default_intention_policy, place: placeOf(['default_intention_policy']) } } : {}),
    },
    nodes,
    entries,
    virtualIps: Object.entries(virtual_ips).map((pair) => ({ value: pair, place: placeOf(['virtual_ips', pair[0]]) })),
    manualVirtualIps: Object.entries(manual_virtual_ips).flatMap(([service, addresses]) =>
      addresses.map((address, index) => ({ value: [service, address] as const, place: placeOf(['manual_virtual_ips', service, index]) })),
    ),
    problems: bounded(problems),
  };

  function parseNodeAt(input: unknown, path: ValuePath): ParsedNode[] {
    const node = parseNode(input);
    report(node.defects, path);
    const name = node.value?.name ?? 'a node';
    const services = (node.value ?? listsOf(input)).services.flatMap((service, index) => {
      const at = [...path, 'services', index];
      const parsed = parseService(service);
      report(parsed.defects, at);
      if (!parsed.value) return [];
      return [{ value: parsed.value, place: placeOf(at, `service ${parsed.value.id ?? parsed.value.name} on ${name}`) }];
    });
    return node.value ? [{ definition: node.value, place: placeOf(path, `node ${name}`), services }] : [];
  }

  function parseEntryAt(input: unknown, path: ValuePath): Placed<ConfigEntry>[] {
    const entry = parseConfigEntry(input);
    report(entry.defects, path);
    if (!entry.value) return [];
    const place = placeOf(path, `${entry.value.kind}/${entry.value.name}`);
    return [{ value: placed(entry.value, place), place }];
  }
}

/** A line that begins with a key of a mesh file, in YAML or JSON. */
function looksLikeMesh(text: string): boolean {
  return [...text.matchAll(/^[\s{]*["']?([A-Za-z_]{4,30})["']?\s*:/gm)].some(([, key]) => FOLDED_KEYS.has(foldKey(key ?? '')));
}

/** A map with at least one key of a mesh file, or one that was probably meant. */
function isMesh(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return keys.length === 0 || keys.some((key) => FOLDED_KEYS.has(foldKey(key))) || (keys.length === 1 && closestWord(keys[0] ?? '', KNOWN_KEYS) !== undefined);
}

/** Says nothing of the content: the file may be another program's, or a link to one that is nobody's business. */
function noMesh(place: Place): Problem {
  const message = 'this is no mesh file: it is not a map with any of the keys of one';
  return { code: 'not-a-mesh', severity: 'error', message, place, hint: `known keys: ${KNOWN_KEYS.join(', ')}` };
}

/** More defects of one file than this are one defect many times, and nobody reads them. */
const MOST_PROBLEMS = 1000;

function bounded(problems: readonly Problem[]): readonly Problem[] {
  const [last] = problems.slice(MOST_PROBLEMS);
  if (!last) return problems;
  const message = `${problems.length - MOST_PROBLEMS} more defects of this file are not listed`;
  const more: Problem = { code: 'more-defects', severity: 'error', message, ...(last.place ? { place: last.place } : {}), hint: 'mend those that are' };
  return [...problems.slice(0, MOST_PROBLEMS), more];
}

/** A function of its own so that the closure keeps the locator alive, and not the parsed document. */
function placeOfValue(at: Place, relocate: (path: ValuePath) => Place, path: ValuePath, object: string | undefined): Place {
  const named = object ? { object } : {};
  return searchablePlace({ ...at, ...named }, (inner) => ({ ...relocate([...path, ...inner]), ...named }));
}

/** The lists of a map that did not parse as a whole. */
function listsOf(input: unknown): { nodes: unknown[]; config_entries: unknown[]; services: unknown[] } {
  const lists: { nodes: unknown[]; config_entries: unknown[]; services: unknown[] } = { nodes: [], config_entries: [], services: [] };
  if (typeof input !== 'object' || input === null) return lists;
  for (const [key, value] of Object.entries(input)) {
    if (!Array.isArray(value)) continue;
    const folded = key.replaceAll('_', '').toLowerCase();
    if (folded === 'nodes' || folded === 'services') lists[folded] = value;
    if (folded === 'configentries') lists.config_entries = value;
  }
  return lists;
}
