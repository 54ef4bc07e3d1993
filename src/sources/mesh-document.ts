import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit, type YAMLError, type YAMLMap } from 'yaml';
import type { Place, Problem } from '../mesh/problem.ts';
import type { Defect, ValuePath } from '../mesh/schema/parser.ts';
import { foldKey } from '../mesh/schema/spelling.ts';
import type { MeshFile } from './mesh-file.ts';

/** Aliases may expand a document to this many times its nodes; beyond it is an attack or a mistake ("billion laughs"). */
const MOST_ALIASES = 100;

/** A YAML or JSON file as a plain value, or why it is none. */
export interface MeshDocument {
  readonly value?: unknown;
  readonly problems: readonly Problem[];
  /** Where a value stands; the nearest one that exists. Paths may have either spelling. */
  readonly locate: (path: ValuePath) => Place;
}

/** @param looksLikeMesh whether the text may be quoted in problems */
export function readMeshDocument(file: MeshFile, looksLikeMesh: boolean): MeshDocument {
  const lines = new LineCounter();
  const document = parse(file.text, lines);
  const locate = (path: ValuePath) => placeAt(file.path, lines, offsetOf(document, path));
  const problems = syntaxProblems(document, file.path, lines, looksLikeMesh);
  if (problems.length > 0) return { problems, locate };
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    const hint = 'write the nodes and config_entries of the mesh into it, or remove it';
    return { problems: [{ code: 'empty-file', severity: 'error', message: 'the mesh file is empty', place: { file: file.path }, hint }], locate };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
    const halved = SURROGATE_ESCAPE.test(file.text) ? pathOfHalfCharacter(value) : undefined;
    return halved ? { problems: [halfCharacter(locate(halved))], locate } : { value, problems: [], locate };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { problems: [aliasProblem(error, file.path)], locate };
  }
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]|\\U0000[dD][89a-fA-F]/;

/** Where a text holds half of a surrogate pair. No UTF-8 can carry it, and so no message to Envoy. */
function pathOfHalfCharacter(value: unknown): ValuePath | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : [];
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, item] of Object.entries(value)) {
    const inner = key.isWellFormed() ? pathOfHalfCharacter(item) : [];
    if (inner) return [Array.isArray(value) ? Number(key) : key, ...inner];
  }
  return undefined;
}

function halfCharacter(place: Place): Problem {
  const message = 'an escape stands for half a character (a lone surrogate)';
  return { code: 'invalid-value', severity: 'error', message, place, hint: 'write the character itself' };
}

/** The library's message quotes the alias. */
function aliasProblem(error: ReferenceError, file: string): Problem {
  if (error.message.startsWith('Unresolved')) {
    const message = 'not valid YAML: an alias names an anchor that is not before it';
    return { code: 'broken-yaml', severity: 'error', message, place: { file }, hint: 'write the value out, or put a text with "*" in quotes' };
  }
  const message = 'the aliases multiply the document beyond measure';
  return { code: 'too-many-aliases', severity: 'error', message, place: { file }, hint: 'write the values out' };
}

/**
 * Finds places in a file long after it was parsed. Only the text is kept; it is parsed again when a defect has to be placed, which
 * is rare, and a syntax tree is many times the size of its text.
 */
export function lazyLocator(file: MeshFile): (path: ValuePath) => Place {
  let kept: WeakRef<{ document: Document.Parsed; lines: LineCounter }> | undefined;
  return (path) => {
    let parsed = kept?.deref();
    if (!parsed) {
      const lines = new LineCounter();
      parsed = { document: parse(file.text, lines), lines };
      kept = new WeakRef(parsed);
    }
    return placeAt(file.path, parsed.lines, offsetOf(parsed.document, path));
  };
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  // The library's own look for duplicate keys is quadratic in the keys of a map; see `duplicateKeys`.
  return parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false, logLevel: 'error' });
}

/** The first syntax error and every duplicate key: what follows a syntax error is mostly its echo. */
function syntaxProblems(document: Document.Parsed, path: string, lines: LineCounter, looksLikeMesh: boolean): Problem[] {
  const first: YAMLError | undefined = document.errors[0] ?? document.warnings[0];
  return [
    ...duplicateKeys(document).map((offset) => ({
      code: 'duplicate-key',
      severity: 'error' as const,
      message: 'the same key stands twice in one map',
      place: placeAt(path, lines, offset),
      hint: 'keep one of them',
    })),
    ...(first ? [brokenDocument(first, path, lines, looksLikeMesh)] : []),
  ];
}

/** Where a key of a map stands that the map has already. */
function duplicateKeys(document: Document.Parsed): number[] {
  const offsets: number[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        const value = isScalar(key) ? key.value : key;
        if (seen.has(value)) offsets.push(startOf(key) ?? 0);
        seen.add(value);
      }
    },
  });
  return offsets;
}

function brokenDocument(error: YAMLError, path: string, lines: LineCounter, looksLikeMesh: boolean): Problem {
  const place = placeAt(path, lines, error.pos[0]);
  if (error.code === 'MULTIPLE_DOCS') {
    return {
      code: 'broken-yaml',
      severity: 'error',
      message: 'the file holds several documents',
      place,
      hint: 'put each into a file of its own in one folder',
    };
  }
  const language = path.endsWith('.json') ? 'JSON' : 'YAML';
  return {
    code: 'broken-yaml',
    severity: 'error',
    // The parser's message may quote the text, and what is no mesh is nobody's business.
    message: looksLikeMesh ? `not valid ${language}: ${error.message}` : `not valid ${language}`,
    place,
    hint: 'mind indentation, quotes and brackets just before it',
  };
}

function placeAt(file: string, lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(1, line), column: Math.max(1, col) };
}

function offsetOf(document: Document.Parsed, path: ValuePath): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = findPair(node, String(part));
      if (!pair) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

/** The pairs of a map by their key, and by the folded form of it. Kept, because each defect of a map asks for one of its keys. */
const pairsOf = new WeakMap<YAMLMap, { readonly exact: ReadonlyMap<string, Pair>; readonly folded: ReadonlyMap<string, Pair> }>();

function findPair(map: YAMLMap, key: string): Pair | undefined {
  let known = pairsOf.get(map);
  if (!known) {
    // The first of several pairs with one key counts, as everywhere in this file.
    const backwards = [...map.items].reverse();
    const keyOf = ({ key }: Pair) => String(isScalar(key) ? key.value : key);
    known = { exact: new Map(backwards.map((pair) => [keyOf(pair), pair])), folded: new Map(backwards.map((pair) => [foldKey(keyOf(pair)), pair])) };
    pairsOf.set(map, known);
  }
  return known.exact.get(key) ?? known.folded.get(foldKey(key));
}

function startOf(node: unknown): number | undefined {
  return (node as Node | undefined | null)?.range?.[0];
}

/** A defect of a parsed value becomes a problem of the file. */
export function problemOf(defect: Defect, locate: (path: ValuePath) => Place, base: ValuePath, object?: string): Problem {
  const { code, message, hint } = defect;
  const place = { ...locate([...base, ...defect.path]), ...(object ? { object } : {}) };
  return { code, severity: 'error', message, place, ...(hint ? { hint } : {}) };
}
